"""Text from data, exceptions, file names and stores: no command sends any of it to a terminal raw.

Ten thousand random strings and a corpus of escape attacks stand wherever a run can hold text; every
command is typed on such a run, for people and for programs, and what it prints is looked at.
"""

import io
import json
import os
import random
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from foretell.cli.app import COMMANDS
from foretell.cli.progress.live import LiveProgress, frame
from foretell.cli.progress.plain import PlainProgress
from foretell.cli.render import Messages
from foretell.errors import ForetellError
from foretell.store.control import CANCEL, request
from foretell.store.failures import FailureLog
from foretell.store.head import HeadWriter, read_head
from foretell.store.open import open_objects
from foretell.store.rings import LogWriter, write_workers
from foretell.types import RowError

CORPUS = [
    "\x1b[31mred\x1b[0m", "\x1b]0;owned\x07", "\x9d0;owned\x9c", "\x9b2J", "\x1b[2J\x1b[H",
    "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\", "\x1b]52;c;ZXZpbA==\x07", "\x1b[6n\x1b[c",
    "\x1b[?1049h\x1b[?1000h", "\x1bPq#0;2;0;0;0\x1b\\", "\x1b(0\x0e\x0f", "fine\rERROR",
    "safe\x08\x08\x08\x08evil", "a\x00b", "a\x7fb", "\u202egpj.exe", "\u2066\u2067x\u2069",
    "a\u200bb\u2060e\ufefff", "x\U000e0041\U000e007f", "a\u2028b\u2029c\x85d", "\ud800x\udc80",
    "[bold red]not[/] {x} %s %(y)s", "$(touch pwned) `id` ; rm", "line\nerror[x]: forged\n",
    "\x1b", "\x90data\x9c", "\u0378\uffff\U0010ffff", "\ue000", "\u3164\u2800", "<script>alert(1)",
]  # fmt: skip
POOL = [
    *map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u202e", "\u2066", "\u200b",
    "\ufeff", "\u2028", "\ud800", "\udfff", "\U000e0041", "[", "]", ";", "m", "\x1b[", "\x1b]", "a",
    "é", "日", "\\", "'", '"', "{", "}", "%", " ", "0", "/", "<",
]  # fmt: skip
COUNT, BATCHES = 10_000, 6


def strings(count=COUNT, seed=7):
    """Random strings, the same ones every time."""
    chooser = random.Random(seed)
    return ["".join(chooser.choices(POOL, k=chooser.randint(1, 10))) for _ in range(count)]


def unsafe(text):
    """Characters that a terminal would obey or hide, judged without the code tested."""
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return sorted({c for c in text if c != "\n" and unicodedata.category(c) in bad})


def check(result):
    """Nothing raw on either stream; a document is still one."""
    assert unsafe(result.out) == []
    assert unsafe(result.err) == []
    assert "error[bug]" not in result.err, result.err
    return result


def file_name(text):
    """Text as one part of a path, as far as a file system takes it."""
    return "".join(char for char in plain(text) if char not in "/\x00")


def plain(text):
    """Text without the halves of characters that neither TOML nor UTF-8 has."""
    return "".join(char for char in text if not 0xD800 <= ord(char) < 0xE000)


NASTY = file_name("".join(CORPUS[:8]) + "\u202e\n\x85")[:64]
MODEL = """\
import json
import numpy as np
CORPUS = json.loads({corpus!r})

def predict(records):
    for record in records:
        if record["id"] >= 50:
            raise ValueError(CORPUS[record["id"] % len(CORPUS)])
    return {{
        "text": [record["text"] for record in records],
        "length": np.array([len(record["text"]) for record in records], dtype="int32"),
    }}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run over hostile data, under a hostile name, with hostile settings; made once."""
    folder = tmp_path_factory.mktemp("hostile") / NASTY
    folder.mkdir()
    (folder / "model.py").write_text(MODEL.format(corpus=json.dumps(CORPUS)))
    texts = strings()
    size = len(texts) // 50
    rows = [" ".join(texts[i * size : (i + 1) * size]) for i in range(50)] + CORPUS
    lines = [json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(rows)]
    (folder / f"data{NASTY}.jsonl").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_CACHE_DIR", str(folder / "cache"))
        patch.setenv("FORETELL_DISABLE_PLUGINS", "1")
        patch.chdir(folder)
        yield folder, _predict(folder)


def _predict(folder):
    from foretell.cli.app import run

    store = folder / f"run{NASTY}.zarr"
    sets = {
        "source.kind": "jsonl",
        "predictor.batch_size": "5",
        "predictor.version": plain("".join(CORPUS)),
        "schedule.workers": "0",
        "schedule.chunk": "10",
        "schedule.retries": "0",
        "schedule.max_failed": "100",
    }
    typed = [f"--set={key}={value}" for key, value in sets.items()]
    files = [
        "--source",
        f"data{NASTY}.jsonl",
        "--model",
        "model.py:predict",
        "--output",
        str(store),
    ]
    assert run(["predict", *files, *typed]) == 3
    return store


@pytest.fixture
def hostile(made, sdk, here):
    """The path of the run, and ``sdk`` called beside it."""
    os.chdir(made[0])
    return str(made[1])


LOOKS = [
    ("status", "RUN"), ("status", "RUN", "--exit-code"), ("runs", "."), ("runs", "--recent"),
    ("show", "RUN"), ("show", "RUN", "text"), ("show", "RUN", "length"),
    ("show", "RUN", "text", "--as", "table"), ("show", "RUN", "text", "--chunk", "2"),
    ("failures", "RUN"), ("failures", "RUN", "--traceback"), ("logs", "RUN", "-n", "0"),
    ("verify", "RUN", "--deep"), ("compare", "RUN", "RUN", "--values", "2"),
    ("report", "RUN", "-o", "page.html"), ("resume", "RUN"), ("predict", "--output", "RUN"),
    ("cancel", "RUN"),
]  # fmt: skip


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
@pytest.mark.parametrize("extra", [(), ("--json",), ("--debug",)], ids=["people", "json", "debug"])
def test_every_command_on_a_hostile_run(sdk, hostile, words, extra):
    typed = [hostile if word == "RUN" else word for word in words]
    result = check(sdk(*typed, *extra))
    if extra == ("--json",):
        json.loads(result.out)


def test_a_suggested_command_runs_nothing_else(sdk, finished, here):
    """What is told to be typed next can be typed, whatever a folder is called."""
    import shlex
    import shutil

    store = "a b; touch pwned $(touch pwned) `touch pwned`"
    shutil.copytree(finished, here / store)
    told = [line.strip() for line in sdk("status", store).lines if "sdk show" in line]
    words = shlex.split(told[0][told[0].index("sdk show") :].split("      ")[0])
    assert words == ["sdk", "show", store]
    data = sdk("status", store, "--json").document("status")
    assert shlex.split(data["next"][0][0]) == ["sdk", "show", store]


def test_no_command_is_left_out():
    """What is not looked at above has a test of its own below."""
    below = {"plan", "retry", "init", "demo", "doctor", "plugins", "config", "completion"}
    assert {words[0] for words in LOOKS} | below == set(COMMANDS)


def fill(objects, texts):
    """Put texts wherever a run store can hold some."""
    pick = iter(texts)
    log = LogWriter(objects)
    for text in texts:
        log.add(1e9, text, text, text)
    log.flush()
    failures = FailureLog(objects)
    for text in texts[::10]:
        rows = [RowError(3, text, text, text)]
        failures.add(text, text, f"Traceback\n{text}\n{text}", 3, 1, text, rows)
    failures.flush()
    known = read_head(objects)
    assert known is not None
    head = replace(
        known,
        message=next(pick), reason=next(pick), unit=next(pick), host=next(pick),
        failure_kinds={next(pick): 2, next(pick): 1},
    )  # fmt: skip
    HeadWriter(objects).write(head)
    text = next(pick)
    write_workers(objects, [{text: text, "index": 0, "host": text, "rss_peak": text,
                             "deployment": {"devices": [text, text], text: text}}])  # fmt: skip
    return head


def test_ten_thousand_strings_in_log_failures_head_and_workers(sdk, hostile, here, tmp_path):
    import shutil

    texts = strings() + CORPUS
    assert len(texts) > COUNT
    size = -(-len(texts) // BATCHES)
    for number in range(BATCHES):
        store = tmp_path / f"{number}.zarr"
        shutil.copytree(hostile, store)
        part = texts[number * size : (number + 1) * size]
        fill(open_objects(str(store)), part)
        outs = [
            check(sdk(*words, *extra))
            for words in (
                ("status", store), ("runs", tmp_path), ("failures", store, "--traceback"),
                ("logs", store, "-n", "0"), ("compare", store, hostile),
                ("report", store, "--no-previews", "-o", tmp_path / "x.html"),
            )
            for extra in ((), ("--json",))
        ]  # fmt: skip
        assert outs[6].out.count("\n") >= len(part), "a line of the log is a line"
        page = (tmp_path / "x.html").read_text(encoding="utf-8")
        assert unsafe(page) == []
        assert "<script" not in page
        shutil.rmtree(store)


TYPED = """
X | status X | status --X | status X X | retry RUN --kind X | retry RUN --chunks X
retry RUN --set X | logs RUN --level X | logs RUN --grep X( | logs RUN --worker X | show RUN X
show RUN text --as X | compare X RUN | report X -o X | predict X | predict --set X
predict --set X=X | predict --source X | predict --source a.npy --model X --output o.zarr
plan X --no-probe | plan --set source.kind=X | config show --set predictor.version=X
config check --set schedule.workers=X | config schema --source X | config X | init X | completion X
runs X | failures RUN --kind X | plan --source DATA --model model.py:predict --output X.zarr
"""
"""Commands with something hostile in place of X."""


@pytest.mark.parametrize("line", TYPED.replace("|", "\n").strip().splitlines(), ids=str.strip)
def test_what_is_typed_comes_back_harmless(sdk, hostile, line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = line.split()
    for attack in CORPUS:
        # What a shell can hand over: no NUL, and bytes that are no UTF-8 as Python shows them.
        attack = attack.replace("\x00", "").replace("\ud800", "")
        for extra in ((), ("--json",)):
            typed = [
                {"RUN": hostile, "DATA": f"data{NASTY}.jsonl"}.get(word, word.replace("X", attack))
                for word in words
            ]
            check(sdk(*typed, *extra))


@pytest.mark.parametrize("attack", CORPUS)
def test_the_environment_comes_back_harmless(sdk, monkeypatch, attack):
    text = plain(attack).replace("\x00", "")
    for name in ("FORETELL_SCHEDULE__WORKERS", "FORETELL_SOURCE__KIND", "FORETELL_WRITER__NOPE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, text)
            check(
                sdk("config", "show", "--source", "a.npy", "--model", "m:f", "--output", "o.zarr")
            )
            check(sdk("config", "check", "--json"))
    for name in ("TERM", "LANG", "NO_COLOR", "FORETELL_CACHE_DIR"):
        monkeypatch.setenv(name, text or "x")
    check(sdk("doctor"))


def test_job_files_with_hostile_names_keys_and_values(sdk, here):
    def quoted(text):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in plain(text)) + '"'

    for attack in CORPUS:
        name = file_name(attack) or "x"
        for text in (
            f"version = 1\n[source]\npath = {quoted(attack)}\n"
            f"[predictor]\nmodel = {quoted(attack)}\n",
            f"version = 1\n[source]\n{quoted(attack)} = 1\n",
            f"{quoted(attack)} = 1\n",
            f"version = {quoted(attack)}\n",
            f"version = 1\n[source]\nkind = {quoted(attack)}\n",
            "not toml \x1b[2J = = \u202e",
        ):
            Path(f"{name}.toml").write_text(text, encoding="utf-8")
            for words in (
                ("config", "show"),
                ("config", "check", "--json"),
                ("plan", "--no-probe"),
            ):
                check(sdk(*words, f"{name}.toml"))


def test_plugins_with_hostile_names_and_summaries(sdk, monkeypatch):
    from foretell.cli import parts
    from foretell.hookspecs import hookimpl
    from foretell.plugins.manager import load_plugins
    from foretell.types import Entry

    attack = "".join(CORPUS)

    class Strange:
        @hookimpl
        def register_sources(self):
            return [Entry("fine", attack, "a:b"), Entry(attack, attack, attack), attack]

        @hookimpl
        def register_commands(self):
            return [Entry("strange", attack, "a:b", extra=attack)]

        @hookimpl
        def register_writers(self):
            raise ValueError(attack)

    plugins = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"}, [(attack, Strange())])
    monkeypatch.setattr(parts, "_plugins", lambda disabled: plugins)
    for words in (("plugins",), ("plugins", "--json"), ("--help",), ("strange",), ("doctor",),
                  ("config", "schema", "--source", "fine")):  # fmt: skip
        check(sdk(*words))


def test_shell_completion_offers_no_hostile_name(sdk, made, cache, monkeypatch):
    from foretell.cli.options import RunType
    from foretell.store.recent import remember_run

    monkeypatch.setenv("FORETELL_CACHE_DIR", str(cache))
    for attack in CORPUS:
        remember_run(f"/runs/{attack}")
    remember_run("/runs/fine")
    offered = [str(item.value) for item in RunType().shell_complete(None, None, "/runs/")]  # type: ignore[arg-type]
    assert "/runs/fine" in offered
    assert unsafe("".join(offered)) == []
    assert not any("\n" in name for name in offered)


# --- progress ------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A terminal that notes what it is sent."""

    encoding = "utf-8"

    def isatty(self):
        return True


OURS = __import__("re").compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AK]|\?25[lh]|2K)|\r")
"""What drawing in place takes: colours, up, clear line, hide and show the cursor."""


def test_progress_in_every_form(make_head, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    texts = strings(400) + CORPUS
    for text in texts:
        head = make_head(
            state="running", message=text, reason=text, unit=text, failure_kinds={text: 1},
            totals={"rows_failed": 3, "failed": 1},
        )  # fmt: skip
        for line in frame(head, text, f"sdk status {text}", 60):
            assert unsafe(line) == []
        stream = io.StringIO()
        messages = Messages(stream)
        plain = PlainProgress(messages.line, messages.note, text, text)
        for state in ("running", "partial"):
            plain.head(replace(head, state=state))
            plain.note("WARN", text)
        assert unsafe(stream.getvalue()) == []


def test_progress_as_json_stays_json_and_harmless(make_head):
    from foretell.cli.progress.lines import JsonProgress

    for text in strings(400) + CORPUS:
        stream = io.StringIO()
        lines = JsonProgress(Messages(stream).line, text)
        lines.head(make_head(state="running", message=text, failure_kinds={text: 1}))
        lines.note("WARN", text)
        assert unsafe(stream.getvalue()) == []
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert found[-1]["text"] == text


def test_the_live_block_on_a_terminal(make_head, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    text = "".join(CORPUS)
    stream = Terminal()
    live = LiveProgress(Messages(stream), text, text)
    live.head(make_head(state="running", message=text, unit=text, failure_kinds={text: 1}))
    live.note("WARN", text)
    live.note("ERROR", text)
    live.head(make_head(state="partial", reason=text, unit=text))
    live.close()
    assert unsafe(OURS.sub("", stream.getvalue())) == []


def test_errors_with_ten_thousand_texts():
    stream = io.StringIO()
    messages = Messages(stream, debug=True)
    texts = strings()
    for i in range(0, len(texts), 50):
        part = texts[i : i + 50]
        facts, tries = ([(text, text + "\n") for text in half] for half in (part[:25], part[25:]))
        messages.error(ForetellError(part[0], facts=facts, tries=tries, slug="x"))
        messages.error_of_bug(ValueError("".join(part)), part[1])
        messages.note("WARN", part[2])
    assert unsafe(stream.getvalue()) == []


def test_worker_processes_say_nothing_raw(bench):
    """The exceptions of a model in worker processes, and what its workers write when they die."""
    import subprocess

    (bench.folder / "words.json").write_text(json.dumps(CORPUS))
    import numpy as np

    bench.data(np.arange(64.0))
    bench.model(
        "import json, os, pathlib\n"
        "WORDS = json.loads((pathlib.Path(__file__).parent / 'words.json').read_text())\n"
        "def f(x):\n"
        "    for value in x.ravel():\n"
        "        if value % 2:\n"
        "            raise ValueError(WORDS[int(value) % len(WORDS)])\n"
        "    return {'y': x}\n"
    )
    sets = {"schedule__workers": 1, "schedule__chunk": 16, "predictor__batch_size": 16,
            "schedule__retries": 0, "schedule__max_failed": 64}  # fmt: skip
    done = subprocess.run(
        bench.predict_command(**sets), cwd=bench.folder, env=bench.env, capture_output=True
    )
    assert done.returncode == 3, done.stderr
    assert unsafe(done.stdout.decode("utf-8")) == []
    assert unsafe(done.stderr.decode("utf-8")) == []
    assert b"ValueError" in done.stderr


def test_a_cancel_request_with_a_hostile_reason(sdk, hostile, tmp_path):
    import shutil

    store = tmp_path / "copy.zarr"
    shutil.copytree(hostile, store)
    objects = open_objects(str(store))
    request(objects, CANCEL, 1, "".join(CORPUS))
    check(sdk("cancel", store))
    check(sdk("verify", store))
