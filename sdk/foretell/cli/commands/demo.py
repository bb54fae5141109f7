"""``sdk demo``: a real model over real data, interrupted once and resumed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from foretell.cli import options
from foretell.cli.exits import Exit
from foretell.cli.session import Session

DELAY = 0.1
"""Seconds the model waits in each batch, so that there is something to watch and to interrupt."""
INTERRUPT_AFTER = 10
POLL = 0.05
STDERR = 2
"""What the commands below print is told like any message: stdout holds the demo's own result."""


@click.command("demo")
@click.argument("folder", metavar="[DIR]", default="runs/demo", type=click.Path(file_okay=False))
@options.common
@click.pass_obj
def command(session: Session, folder: str) -> int:
    """Predict 1,797 handwritten digits in DIR, interrupt the run, resume it, verify the store.

    A store that an earlier demo left in DIR is replaced.
    """
    from foretell import demo
    from foretell.text import word

    say = session.messages.say
    job = demo.write(Path(folder), delay=DELAY)
    store = job.parent / "digits.zarr"
    _forget(store)
    say(f"the job: {job}")
    say(f"$ sdk predict {word(job)}      interrupted by a Ctrl-C after {INTERRUPT_AFTER} chunks")
    first = _interrupted(job, store)
    if first not in (Exit.COMPLETE, Exit.INTERRUPTED):
        return first
    say(f"it drained and ended with {first}; what was done is safe")
    for words in (["resume", str(store)], ["verify", str(store), "--deep"]):
        say(f"$ sdk {' '.join(words)}")
        code = subprocess.run(_sdk(*words), check=False, stdout=STDERR).returncode
        if code != Exit.COMPLETE:
            return code
    _tell(session, job, store, first)
    return Exit.COMPLETE


def _forget(store: Path) -> None:
    """Remove the run of an earlier demo; anything else there is left for predict to refuse."""
    if (store / "_run" / "manifest.json").is_file():
        shutil.rmtree(store)


def _sdk(*words: str) -> list[str]:
    return [sys.executable, "-m", "foretell", *words]


def _interrupted(job: Path, store: Path) -> int:
    """Start the run, send it a SIGINT once it is under way, and return what it exits with."""
    from foretell.store.head import read_head
    from foretell.store.open import open_objects

    driver = subprocess.Popen(_sdk("predict", str(job)), stdout=STDERR)
    objects = open_objects(str(store))
    try:
        while driver.poll() is None:
            head = read_head(objects)
            if head is not None and head.totals.done >= INTERRUPT_AFTER:
                driver.send_signal(signal.SIGINT)
                return driver.wait()
            time.sleep(POLL)
    except BaseException:
        driver.terminate()
        driver.wait()
        raise
    return driver.returncode


def _tell(session: Session, job: Path, store: Path, first: int) -> None:
    import foretell
    from foretell import demo
    from foretell.cli.output import emit, out, table
    from foretell.cli.progress.choose import watch_command
    from foretell.text import word

    run: Any = foretell.open_run(str(store))
    accuracy = demo.accuracy(run["label"][:])
    if session.json:
        emit(
            "demo",
            {
                "run": str(store),
                "job": str(job),
                "rows": demo.ROWS,
                "accuracy": accuracy.all,
                "accuracy_held_out": accuracy.held_out,
                "rows_held_out": accuracy.held_out_rows,
                "interrupted": first == Exit.INTERRUPTED,
            },
        )
        return
    held_out = f"{accuracy.held_out:.1%} of the {accuracy.held_out_rows:,} it was not trained on"
    facts = [
        ("accuracy", f"{accuracy.all:.1%} of {demo.ROWS:,} digits, {held_out}"),
        ("store", str(store)),
        ("open it", f'python -c "import xarray; print(xarray.open_zarr({str(store)!r}))"'),
        ("or", f"foretell.open_run({str(store)!r})['label'][:]"),
        ("look at it", f"sdk show {word(store)}"),
        ("watch it", f"{watch_command(str(store))}      while sdk predict {word(job)} runs"),
    ]
    if find_spec("xarray") is None:
        facts.insert(3, ("", "after pip install xarray"))
    for line in table(facts):
        out(line)
