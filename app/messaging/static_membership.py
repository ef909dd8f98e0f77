"""Ids for static members of Kafka consumer groups (group.instance.id; docs/adr/0020).

In: DATA_DIR/slots, one locked file per running process. Out: an id for app/messaging/consumer.py.
A slot is the first number whose file is not locked. The kernel releases the lock when the process is
dead, and not before: a frozen process keeps its slot, and a process started beside it gets another.
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
"""Random for each boot of the machine, the same in all of its containers. It distinguishes machines
whose DATA_DIR is a copy or is shared over a network."""
_locked_files: list[IO[str]] = []
"""Never closed, so that the lock lasts as long as the process."""


@functools.cache
def claim_instance_id(folder: Path, process_name: str) -> str | None:
    """An id that is unique among running processes, and the same as that of the previous process in
    this slot. None if no file can be locked: the process is then a dynamic member."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder_stat = folder.stat()
        slot_number = next(
            n for n in itertools.count() if _try_lock_file(folder / f"{process_name}-{n}.lock")
        )
        installation = f"{BOOT_ID.read_text().strip()} {folder_stat.st_dev} {folder_stat.st_ino}"
    except OSError as exc:
        log.warning(
            "No lock file in %s (%s): if this process is killed, its partitions are reassigned only "
            "after its session time-out",
            folder,
            exc,
            extra={"event": "instance_id_unavailable"},
        )
        return None
    return f"{process_name}-{slot_number}-{hashlib.sha256(installation.encode()).hexdigest()[:16]}"


def _try_lock_file(path: Path) -> bool:
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _locked_files.append(file)
    return True
