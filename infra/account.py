"""Account: the system user that PostgreSQL runs as. It refuses root, for good reasons.

In    who we are, who owns the data already
Out   a command prefix, empty for ordinary users
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.trouble import Trouble

NAME = "notifications-pg"


@dataclass(frozen=True, slots=True)
class Account:
    """`prefix` goes before a command; `uid` owns the files (None: whoever runs us)."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def account(data: Path, programs: Path) -> Account:
    """The user for the cluster in `data` with the binaries in `programs`."""
    if os.geteuid() != 0:
        return Account()
    if not shutil.which("setpriv"):
        raise Trouble(
            "PostgreSQL does not run as root and `setpriv` (package util-linux) is missing; "
            "start as an ordinary user or set DATABASE_URL."
        )
    uid, gid = _owner(data) or _system_user()
    prefix = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    if not (reachable(uid, gid, data.parent) and reachable(uid, gid, programs)):
        prefix += [
            # Below a closed folder (say /root) the user could neither read the program nor its
            # data. It keeps the right to pass; opening other people's folders is not for us.
            "--securebits=+no_setuid_fixup",  # PostgreSQL asks access(2), which forgets otherwise
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
        ]
    return Account((*prefix, "--"), uid, gid)


def reachable(uid: int, gid: int, path: Path) -> bool:
    return all(_may_enter(uid, gid, folder) for folder in (path, *path.parents))


def _may_enter(uid: int, gid: int, folder: Path) -> bool:
    entry = folder.stat()
    if entry.st_uid == uid:
        return entry.st_mode & 0o500 == 0o500
    if entry.st_gid == gid:
        return entry.st_mode & 0o050 == 0o050
    return entry.st_mode & 0o005 == 0o005


def _owner(data: Path) -> tuple[int, int] | None:
    """An existing cluster belongs to the user who made it; the server checks that."""
    if not (data / "PG_VERSION").exists() or data.stat().st_uid == 0:
        return None
    return data.stat().st_uid, data.stat().st_gid


def _system_user() -> tuple[int, int]:
    """One of our own; where none can be made, the one that every system has."""
    if useradd := shutil.which("useradd"):
        command = [useradd, "--system", "--no-create-home", "--shell", "/bin/false", NAME]
        subprocess.run(command, capture_output=True, check=False)  # 9: exists already
    for name in (NAME, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise Trouble(
        "PostgreSQL does not run as root and no user could be made for it; set DATABASE_URL."
    )
