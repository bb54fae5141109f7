"""What the workers' models print: kept off the terminal, read into the run's log."""

from __future__ import annotations

import os

from foretell.engine.crew import Crew
from foretell.engine.recorder import Recorder

_MOST = 65_536
_LONGEST = 16 * 2**20
LEVEL = "PRINT"


def listen(crew: Crew, recorder: Recorder, host: str) -> None:
    """Log what this host's workers printed since the last look."""
    for member in crew.members():
        if member.info is None or member.info.host != host or not member.info.output:
            continue
        text, member.heard = printed(member.info.output, member.heard)
        for line in text.splitlines():
            if line.strip():
                recorder.log(LEVEL, member.index, line)


def printed(path: str, since: int) -> tuple[str, int]:
    """What was printed after byte ``since``, 64 kB at most, and where that ends.

    Whole lines only. A file that grew beyond 16 MB is emptied, so that a chatty model cannot fill
    the disk; what was not read by then is lost, and the log says so.
    """
    try:
        length = os.path.getsize(path)
        if length <= since:
            return "", since
        with open(path, "rb") as file:
            file.seek(since)
            data = file.read(_MOST)
        if length > _LONGEST:
            os.truncate(path, 0)
            return data.decode("utf-8", "replace") + "\n[more was printed and dropped]", 0
    except OSError:
        return "", since
    whole = data.rfind(b"\n") + 1 or len(data)
    return data[:whole].decode("utf-8", "replace"), since + whole
