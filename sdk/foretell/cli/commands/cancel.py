"""``sdk cancel``: ask a live run to drain and stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from foretell.cli import options
from foretell.cli.session import Session

if TYPE_CHECKING:
    from foretell.store.head import Head
    from foretell.store.objects import ObjectStore
    from foretell.store.status import Judgement


@click.command("cancel")
@options.run_argument
@click.option("--wait", is_flag=True, help="Return only when the run has ended.")
@options.common
@click.pass_obj
def command(session: Session, run: str, wait: bool) -> int:
    """Ask a live run to drain and stop; it ends as cancelled and can be resumed.

    A run that no driver works on is left as it is.
    """
    from foretell.cli.output import emit, out
    from foretell.cli.parts import open_store, watch
    from foretell.redact import redact_url
    from foretell.store.manifest import read_manifest

    objects = open_store(run)
    read_manifest(objects)
    looking = watch(objects)
    judgement = looking.settle(time.sleep)
    requested, text = _ask(objects, looking.head, judgement)
    while wait and judgement is not None and judgement.live:
        time.sleep(0.5)
        judgement = looking.look()
    state = judgement.state.value if judgement is not None else "planned"
    if wait and requested:
        text = f"the run is {state}"
    if session.json:
        emit("cancel", {"run": redact_url(objects.url), "requested": requested, "state": state,
                        "text": text})  # fmt: skip
    else:
        out(text)
    return 0


def _ask(objects: ObjectStore, head: Head | None, judgement: Judgement | None) -> tuple[bool, str]:
    """Leave the request where there is somebody to read it."""
    from foretell.store import control

    if judgement is None or head is None:
        return False, "nothing to cancel: the run has not started"
    if not judgement.live:
        what = judgement.state.value if judgement.state.ended else "lost, no driver is at work"
        return False, f"nothing to cancel: the run is {what}"
    if control.request(objects, control.CANCEL, head.epoch, "sdk cancel"):
        return True, "asked the driver to drain and stop; the run can be resumed"
    return True, "the driver has already been asked"
