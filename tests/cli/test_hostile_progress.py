"""Hostile text in progress of every form, in errors, and from worker processes."""

import io
import json
import re
import subprocess
from dataclasses import replace

import numpy as np
from foretell.cli.progress.lines import JsonProgress
from foretell.cli.progress.live import LiveProgress, frame
from foretell.cli.progress.plain import PlainProgress
from foretell.cli.render import Messages
from foretell.errors import ForetellError
from hostile import CORPUS, strings, unsafe


class Terminal(io.StringIO):
    """A terminal that notes what it is sent."""

    encoding = "utf-8"

    def isatty(self):
        return True


OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AK]|\?25[lh]|2K)|\r")
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
    (bench.folder / "words.json").write_text(json.dumps(CORPUS))
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
