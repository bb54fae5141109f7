"""The demo, as ``make demo`` runs it: interrupted once, resumed, verified."""

from foretell.cli import parts
from foretell.cli.commands import demo
from foretell.store.snapshot import open_snapshot


def test_the_demo_interrupts_itself_resumes_and_verifies(sdk, here):
    result = sdk("demo", "--json")
    assert result.code == 0
    data = result.document("demo")
    assert data["accuracy"] > 0.99
    assert data["accuracy_held_out"] > 0.95
    assert data["interrupted"] is True
    snapshot = open_snapshot(parts.open_store(data["run"]))
    assert [session.epoch for session in snapshot.table.sessions] == [1, 2]
    assert sdk("status", "runs/demo/digits.zarr", "--exit-code").code == 0


def test_a_second_demo_replaces_a_run_and_nothing_else(here):
    run, other = here / "a.zarr", here / "b.zarr"
    (run / "_run").mkdir(parents=True)
    (run / "_run" / "manifest.json").write_text("{}")
    (other / "precious").mkdir(parents=True)
    demo._forget(run)
    demo._forget(other)
    demo._forget(here / "missing")
    assert not run.exists()
    assert other.exists()
