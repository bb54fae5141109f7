import json

import jsonschema
import pytest
from foretell.config.layers import Typed
from foretell.config.load import job_from_json
from foretell.config.schedule import ScheduleOptions
from foretell.config.schema import job_schema
from foretell.errors import ConfigError
from hypothesis import given
from hypothesis import strategies as st


def test_what_the_manifest_holds_gives_the_same_job(folder, kinds):
    job = folder.whole(
        sets={
            "schedule.walltime": "11:50:00",
            "predictor.options": {"width": 64, "deep": {"x": [1, 2]}},
            "writer.keep": ["id"],
            "deployer.slots": 3,
        }
    )
    stored = json.loads(json.dumps(job.to_json()))
    again = job_from_json(stored, base_dir=folder.path, resolve=kinds.resolve)
    assert again.to_json() == job.to_json()
    assert again.schedule == job.schedule
    assert again.origin("schedule.walltime") == "the run's record"
    assert again.writer.resolve("x") == str(folder.path / "x")


def test_a_job_without_deployer_stays_without(folder, kinds):
    stored = folder.whole().to_json()
    assert stored["deployer"] is None
    assert job_from_json(stored, base_dir=folder.path, resolve=kinds.resolve).deployer is None


def test_changes_go_on_top_of_what_was_stored(folder, kinds):
    stored = folder.whole(sets={"schedule.workers": 1}).to_json()
    again = job_from_json(
        stored,
        base_dir=folder.path,
        resolve=kinds.resolve,
        sets={"schedule.workers": Typed("4")},
    )
    assert again.flat()["schedule.workers"] == (4, "--set")


def test_secrets_are_not_stored_and_asked_for_again(folder, kinds):
    job = folder.whole(
        sets={
            "predictor.options": {"hf_token": "hf_abcdef", "pad_token": "<pad>"},
            "source.path": "s3://key:secret@bucket/a.zarr",
        }
    )
    stored = job.to_json()
    assert "abcdef" not in json.dumps(stored)
    assert "key:secret" not in json.dumps(stored)
    assert stored["predictor"]["options"] == {"hf_token": "***", "pad_token": "<pad>"}
    with pytest.raises(ConfigError) as caught:
        job_from_json(stored, base_dir=folder.path, resolve=kinds.resolve)
    assert str(caught.value) == (
        "error[config]: 2 things are wrong with this job\n"
        "  source.path                  a secret, so it was never stored; give it again\n"
        "  predictor.options.hf_token   a secret, so it was never stored; give it again\n"
        "  try                          --set source.path=…\n"
        "                               --set predictor.options.hf_token=…"
    )
    again = job_from_json(
        stored,
        base_dir=folder.path,
        resolve=kinds.resolve,
        sets={"source.path": "s3://bucket/a.zarr", "predictor.options.hf_token": "x"},
    )
    assert again.predictor.options["hf_token"] == "x"


def schema(kinds):
    models = {section: next(iter(found.values())) for section, found in kinds.KINDS.items()}
    known = {section: sorted(found) for section, found in kinds.KINDS.items()}
    return job_schema({**models, "schedule": ScheduleOptions}, known)


def test_the_schema_accepts_the_designed_job_file_and_refuses_what_is_unknown(kinds):
    validator = jsonschema.Draft202012Validator(schema(kinds))
    validator.check_schema(schema(kinds))
    job = {
        "version": 1,
        "source": {"kind": "zarr", "path": "tiles.zarr", "array": "rgb", "rows": "0:1000"},
        "predictor": {"kind": "callable", "model": "m:f", "batch_size": "auto"},
        "deployer": {"slots": 2},
        "writer": {"path": "runs/tiles.zarr", "keep": ["id"]},
        "schedule": {"timeout": "10m", "memory_limit": "4GB", "chunk": 1024, "drain": 60},
    }
    assert list(validator.iter_errors(job)) == []
    for path, value in (
        (("source", "aray"), "rgb"),
        (("writer", "kind"), "zar"),
        (("schedule", "workers"), "two"),
        (("extra",), {}),
    ):
        wrong = json.loads(json.dumps(job))
        inner = wrong
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value
        assert len(list(validator.iter_errors(wrong))) == 1, path


@given(
    workers=st.integers(0, 99),
    chunk=st.integers(1, 10**6) | st.just("auto"),
    timeout=st.none() | st.floats(0.5, 1e6),
    options=st.dictionaries(
        st.text("abcdef.", min_size=1, max_size=4),
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        max_size=4,
    ),
)
def test_any_job_survives_the_round_trip(tmp_path_factory, kinds, workers, chunk, timeout, options):
    folder = kinds.Folder(tmp_path_factory.getbasetemp())
    sets = {
        "schedule": {"workers": workers, "chunk": chunk, "timeout": timeout},
        "predictor": {"options": options},
    }
    job = folder.whole(sets=sets)
    assert job.predictor.options == options
    stored = json.loads(json.dumps(job.to_json()))
    again = job_from_json(stored, base_dir=folder.path, resolve=kinds.resolve)
    assert again.to_json() == job.to_json()
