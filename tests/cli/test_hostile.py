"""Text from data, exceptions, file names and stores: no command sends any of it to a terminal raw.

Ten thousand random strings and a corpus of escape attacks stand wherever a run can hold text; every
command is typed on such a run, for people and for programs, and what it prints is looked at.
"""

import json
import shlex
import shutil
from dataclasses import replace

import pytest
from foretell.cli.app import COMMANDS
from foretell.store.control import CANCEL, request
from foretell.store.failures import FailureLog
from foretell.store.head import HeadWriter, read_head
from foretell.store.open import open_objects
from foretell.store.rings import LogWriter, write_workers
from foretell.types import RowError
from hostile import CORPUS, COUNT, check, strings, unsafe

BATCHES = 6


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


def test_a_cancel_request_with_a_hostile_reason(sdk, hostile, tmp_path):
    store = tmp_path / "copy.zarr"
    shutil.copytree(hostile, store)
    objects = open_objects(str(store))
    request(objects, CANCEL, 1, "".join(CORPUS))
    check(sdk("cancel", store))
    check(sdk("verify", store))
