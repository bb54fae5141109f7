"""Prompts from every kind of place, and what is wrong with them by file and line."""

import json
import random

import pytest
from foretell.errors import ConfigError, LoadError
from foretell.testing import SourceContract
from foretell_accelerator.settings import PromptOptions
from foretell_accelerator.source import PromptSource


def made(tmp_path, **given):
    return PromptSource(PromptOptions(**given).at(tmp_path))


def texts(source, key="prompt"):
    rows = source.read(0, len(source))
    return [record[key] for record in rows.examples]


def write(path, *prompts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in prompts))


def test_json_lines_with_blank_lines_and_crlf(tmp_path):
    (tmp_path / "p.jsonl").write_bytes(
        b'{"prompt": "one"}\r\n\r\n'
        b'{"prompt": "two", "id": 7}\r\n   \n\n"three"\n{"prompt":"\xc3\xa9"}'
    )
    source = made(tmp_path, path="p.jsonl")
    assert texts(source) == ["one", "two", "three", "é"]
    assert source.read(1, 2).examples == [{"prompt": "two", "id": 7}]
    assert [source.locate(row) for row in range(4)] == [f"p.jsonl:{n}" for n in (1, 3, 6, 7)]


def test_json_arrays_and_single_documents(tmp_path):
    (tmp_path / "a.json").write_text('[\n {"prompt": "one"},\n\n "two",\n {"prompt":\n "three"}\n]')
    (tmp_path / "b.json").write_text('{\n"prompt": "alone"\n}')
    array, single = made(tmp_path, path="a.json"), made(tmp_path, path="b.json")
    assert texts(array) == ["one", "two", "three"]
    assert [array.locate(row) for row in range(3)] == ["a.json:2", "a.json:4", "a.json:5"]
    assert texts(single) == ["alone"]
    (tmp_path / "none.json").write_text(" [ ] ")
    assert len(made(tmp_path, path="none.json")) == 0


def test_folders_are_sorted_and_nested(tmp_path):
    write(tmp_path / "d" / "b.jsonl", "b1", "b2")
    write(tmp_path / "d" / "a" / "z.jsonl", "z1")
    (tmp_path / "d" / "a" / "m.json").write_text('["m1", "m2"]')
    write(tmp_path / "d" / "a.jsonl", "a1")
    (tmp_path / "d" / "notes.txt").write_text("no prompts here")
    source = made(tmp_path, data_dir="d")
    assert texts(source) == ["a1", "m1", "m2", "z1", "b1", "b2"]
    assert source.locate(2).endswith("a/m.json:1")
    assert source.read(2, 5).examples == [{"prompt": p} for p in ("m2", "z1", "b1")]


def test_inline_json_and_lists_of_everything(tmp_path):
    write(tmp_path / "p.jsonl", "file")
    places = ("p.jsonl", '{"prompt": "object"}', '["first", {"prompt": "second"}]', '"text"')
    source = made(tmp_path, data_dir=places)
    assert texts(source) == ["file", "object", "first", "second", "text"]
    told = ["p.jsonl:1", "inline 1", "inline 2[0]", "inline 2[1]", "inline 3"]
    assert [source.locate(row) for row in range(5)] == told
    assert texts(made(tmp_path, path="p.jsonl", data_dir='"then"')) == ["file", "then"]


def test_a_key_of_ones_own(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"review": "good", "prompt": "no"}\n"plain"\n')
    source = made(tmp_path, path="p.jsonl", prompt_key="review")
    assert texts(source, "review") == ["good", "plain"]


def test_what_is_wrong_with_a_row_names_file_and_line(tmp_path):
    (tmp_path / "p.jsonl").write_text(
        '{"prompt": "fine"}\n\n{"text": "no"}\n{broken\n[1]\n{"prompt": 3}\n'
    )
    rows = made(tmp_path, path="p.jsonl").read(0, 5)
    told = [(error.row, error.locator, error.message) for error in rows.errors]
    assert told == [
        (1, "p.jsonl:3", "no key 'prompt'; its keys: text"),
        (2, "p.jsonl:4", "not JSON: Expecting property name enclosed in double quotes"),
        (3, "p.jsonl:5", "neither an object nor a text: list"),
        (4, "p.jsonl:6", "'prompt' is int, not text"),
    ]
    (tmp_path / "a.json").write_text('[\n{"prompt": "fine"},\n{"Prompt": "no"}]')
    (error,) = made(tmp_path, path="a.json").read(0, 2).errors
    assert (error.locator, error.message) == ("a.json:3", "no key 'prompt'; its keys: Prompt")


@pytest.mark.parametrize(("most", "count"), [(0, 0), (1, 1), (20, 20), (31, 30), (None, 30)])
def test_examples_to_generate(tmp_path, most, count):
    write(tmp_path / "p.jsonl", *(f"p{i}" for i in range(25)))
    source = made(
        tmp_path, path="p.jsonl", data_dir=json.dumps(["x"] * 5), examples_to_generate=most
    )
    assert len(source) == count
    assert texts(source) == ([f"p{i}" for i in range(25)] + ["x"] * 5)[:count]


def test_what_cannot_be_read_is_refused_with_its_place(tmp_path):
    with pytest.raises(ConfigError, match="names no prompts"):
        made(tmp_path)
    with pytest.raises(LoadError, match="does not exist"):
        made(tmp_path, path="nothing.jsonl")
    (tmp_path / "a.json").write_text('{\n"prompt": oops\n}')
    with pytest.raises(LoadError, match=r"a\.json:2"):
        made(tmp_path, path="a.json")
    with pytest.raises(LoadError, match="inline 1"):
        made(tmp_path, data_dir='{"prompt": ')
    (tmp_path / "b.json").write_bytes(b'"\xff"')
    with pytest.raises(LoadError, match="not UTF-8"):
        made(tmp_path, path="b.json")


class TestPrompts(SourceContract):
    source_class = PromptSource

    @pytest.fixture
    def folder(self, tmp_path):
        random.seed(0)
        lines = [json.dumps({"prompt": f"prompt {i}", "id": i}) for i in range(17)]
        for _ in range(5):
            lines.insert(random.randrange(len(lines)), "")
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "a.jsonl").write_text("\n".join(lines))
        (tmp_path / "d" / "b.json").write_text(json.dumps([{"prompt": "b"}, "c", {"no": 1}]))
        return tmp_path

    @pytest.fixture
    def source_options(self, folder):
        return PromptOptions(path="d", data_dir='{"prompt": "inline"}').at(folder)

    @pytest.fixture
    def expected(self):
        rows = [{"prompt": f"prompt {i}", "id": i} for i in range(17)]
        return [*rows, {"prompt": "b"}, {"prompt": "c"}, {"prompt": ""}, {"prompt": "inline"}]

    @pytest.fixture
    def bad_rows(self):
        return frozenset({19})

    @pytest.fixture
    def change(self, folder):
        return lambda: (folder / "d" / "b.json").write_text('[{"prompt": "B"}, "c", {"no": 1}]')
