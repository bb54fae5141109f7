"""``sdk`` called inside the test process, and one real run to look at."""

import json
import shutil
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
from foretell.cli.app import run
from foretell.cli.schemas import document_schema
from foretell.store.head import Head, Totals
from hostile import CORPUS, NASTY, plain, strings


@dataclass(frozen=True)
class Result:
    """What a command line ended with."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def document(self, name: str) -> Any:
        """The one document on stdout, valid by its schema."""
        data = json.loads(self.out)
        jsonschema.validate(data, document_schema(name), jsonschema.Draft202012Validator)
        return data


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch, cache):
    """The working directory of this test, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def sdk(capsys, here, monkeypatch):
    """Runs a command line from an empty folder."""
    monkeypatch.setenv("FORETELL_DISABLE_PLUGINS", "1")

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(int(code), captured.out, captured.err)

    return call


MODEL = """\
import numpy as np

def predict(records):
    if any("bad" in record["text"] for record in records):
        raise ValueError("a bad record \\x1b[31m")
    return {
        "length": np.array([len(record["text"]) for record in records], dtype="int32"),
        "deep": {"half": np.array([len(r["text"]) / 2 for r in records], dtype="float32")},
    }
"""

JOB = """\
version = 1
[source]
path = "data.jsonl"
[predictor]
model = "model.py:predict"
batch_size = 4
[writer]
path = "run.zarr"
[schedule]
workers = 0
chunk = 4
retries = 0
"""


def lay_out(folder, rows):
    """A job in ``folder`` over these texts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(MODEL)
    (folder / "job.toml").write_text(JOB)
    lines = [json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(rows)]
    (folder / "data.jsonl").write_text("".join(lines))
    return folder


GOOD = [f"text {i}" for i in range(10)]


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory):
    """A finished run, and one with a failed row, made once."""
    base = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_CACHE_DIR", str(base / "cache"))
        patch.setenv("FORETELL_DISABLE_PLUGINS", "1")
        for name, rows, code in (
            ("good", GOOD, 0),
            ("partial", [*GOOD[:6], "bad one", *GOOD[7:]], 3),
        ):
            folder = lay_out(base / name, rows)
            patch.chdir(folder)
            assert run(["predict", "--quiet", "--set", "schedule.max_failed=5"]) == code
    return base


@pytest.fixture
def finished(finished_once, here):
    """A copy of the finished run: path of its store."""
    shutil.copytree(finished_once / "good", here / "good")
    return here / "good" / "run.zarr"


@pytest.fixture
def partial(finished_once, here):
    """A copy of the run with a failed row: path of its store."""
    shutil.copytree(finished_once / "partial", here / "partial")
    return here / "partial" / "run.zarr"


@pytest.fixture(scope="session")
def make_head():
    """Makes heads of a run of 1,000 rows in 10 chunks."""
    return head


def head(**changes):
    """A head of a run of 1,000 rows in 10 chunks, with changes."""
    totals = changes.pop("totals", {})
    values = {
        "state": "running",
        "sequence": 1,
        "interval": 1.0,
        "time": 1000.0,
        "epoch": 1,
        "host": "elsewhere",
        "boot_id": "b",
        "pid": 7,
        "pid_started": 1.0,
        "session_started": 1000.0,
        "totals": Totals(**{"chunks": 10, "rows": 1000, **totals}),
    }
    return Head(**{**values, **changes})


HOSTILE_MODEL = """\
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


@pytest.fixture(scope="session")
def hostile_once(tmp_path_factory):
    """A run over hostile data, under a hostile name, with hostile settings; made once."""
    folder = tmp_path_factory.mktemp("hostile") / NASTY
    folder.mkdir()
    (folder / "model.py").write_text(HOSTILE_MODEL.format(corpus=json.dumps(CORPUS)))
    texts = strings()
    size = len(texts) // 50
    rows = [" ".join(texts[i * size : (i + 1) * size]) for i in range(50)] + CORPUS
    lines = [json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(rows)]
    (folder / f"data{NASTY}.jsonl").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_CACHE_DIR", str(folder / "cache"))
        patch.setenv("FORETELL_DISABLE_PLUGINS", "1")
        patch.chdir(folder)
        return folder, _predict_hostile(folder)


def _predict_hostile(folder):
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
def hostile(hostile_once, sdk, monkeypatch):
    """The path of the run, and ``sdk`` called beside it."""
    monkeypatch.chdir(hostile_once[0])
    return str(hostile_once[1])
