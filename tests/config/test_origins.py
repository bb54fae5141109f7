import tomllib

import pytest
from foretell.config.origins import key_lines
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a = 1\nb = 2\n", ("b",), 2),
        ("[source]\n\n# note\nkind = 'zarr'\n", ("source", "kind"), 4),
        ("[source]\nkind = 1\n[writer]\nkind = 2\n", ("writer", "kind"), 4),
        ("schedule.chunk = 3\n", ("schedule", "chunk"), 1),
        ("schedule.chunk = 3\n", ("schedule",), 1),
        (
            "[predictor]\noptions = { a = 1, b = { c = 2 } }\n",
            ("predictor", "options", "b", "c"),
            2,
        ),
        ('a = """\nb = 1\n"""\nb = 2\n', ("b",), 4),
        ("a = '''\n[x]\n'''\n[x]\ny = 1\n", ("x", "y"), 5),
        ("a = [\n 1, # ]\n 2,\n]\nb = 2\n", ("b",), 5),
        ('a = [ { x = "}" } ]\nb = 2\n', ("b",), 2),
        ('a = "# not a comment"\nb = "\\" ]"\nc = 1\n', ("c",), 3),
        ('["od.d"]\n"k.ey" = 1\n', ("od.d", "k.ey"), 2),
        ("[a]\n'lit' = 1\n", ("a", "lit"), 2),
        ("[[a]]\nx = 1\n[[a]]\nx = 2\n", ("a", "x"), 4),
        ("a = 1\r\nb = 2\r\n", ("b",), 2),
        ("a = 1979-05-27T07:32:00Z\nb = 11:50:00\nc = 1\n", ("c",), 3),
        ('a = """x"""""\nb = 1\n', ("b",), 2),
        ("\ta\t=\t1\n  b =2", ("b",), 2),
    ],
)
def test_line_of_a_key(text, key, line):
    tomllib.loads(text)
    assert key_lines(text)[key] == line


NAMES = st.text("abcdefgh_-", min_size=1, max_size=6)
STRINGS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
VALUES = st.recursive(
    st.booleans() | st.integers(-99, 99) | STRINGS,
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


def spell(value, multiline):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        gap = "\n" if multiline else " "
        return "[" + gap + f",{gap}".join(spell(item, multiline) for item in value) + gap + "]"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""\n{escaped}"""' if multiline else f'"{escaped}"'


@given(
    st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4), st.booleans()
)
def test_every_key_of_any_document_is_found_on_its_line(tables, multiline):
    lines, expected = [], {}
    for table, values in tables.items():
        lines.append(f"[{table}]  # {table} = 1")
        for name, value in values.items():
            expected[(table, name)] = sum(text.count("\n") + 1 for text in lines) + 1
            lines.append(f"{name} = {spell(value, multiline)} # x = 2")
    text = "\n".join(lines)
    tomllib.loads(text)
    found = key_lines(text)
    assert {key: found[key] for key in expected} == expected


@given(st.text(max_size=60))
def test_any_text_ends(text):
    key_lines(text)
