"""Slots: which of several processes of a kind this one is, so that its successor is known as it.

In    DATA_DIR/slots, one locked file per living process
Out   the group.instance.id of its consumers (streams/kafka.py); docs/adr/0020

A slot is the first number whose file nobody locks. The kernel frees the lock when its process is
dead, and not before: a frozen process keeps its slot, and who is started beside it takes another.
"""

import fcntl
import functools
import hashlib
import itertools
import logging
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Drawn by the kernel at each start of the machine, the same in all of its containers. It tells
machines apart whose DATA_DIR is a copy, or is shared over a network."""
_locked: list[IO[str]] = []
"""Never closed: the lock ends with the process."""


@functools.cache
def instance_id(folder: Path, process: str) -> str | None:
    """Unique among living processes, and that of the last one in its slot. None where no file can
    be locked: then this process is one of many without a name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder.stat()
        number = next(n for n in itertools.count() if _lock(folder / f"{process}-{n}.lock"))
        installation = f"{BOOT_ID.read_text().strip()} {place.st_dev} {place.st_ino}"
    except OSError as fault:
        log.warning(
            "No slot below %s (%s): if this process is killed, others wait for its session to end",
            folder,
            fault,
        )
        return None
    return f"{process}-{number}-{hashlib.sha256(installation.encode()).hexdigest()[:16]}"


def _lock(path: Path) -> bool:
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _locked.append(file)
    return True
