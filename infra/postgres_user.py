"""The system user that runs PostgreSQL if we are root, which PostgreSQL refuses."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.errors import InfraError

SYSTEM_USER_NAME = "notifications-pg"


@dataclass(frozen=True, slots=True)
class PostgresUser:
    """`command_prefix` switches to the user. Without a uid files belong to the current user."""

    command_prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    def chown(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def resolve_postgres_user(data_dir: Path, bin_dir: Path) -> PostgresUser:
    """The current user, or as root the owner of the data or a system user."""
    if os.geteuid() != 0:
        return PostgresUser()
    if not shutil.which("setpriv"):
        raise InfraError(
            "PostgreSQL does not run as root and `setpriv` (package util-linux) is missing; "
            "start as an ordinary user or set DATABASE_URL."
        )
    uid, gid = _data_dir_owner(data_dir) or _find_or_create_system_user()
    command_prefix = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
    if not (is_accessible(uid, gid, data_dir.parent) and is_accessible(uid, gid, bin_dir)):
        command_prefix += [
            # Below a folder such as /root the user could read neither the binaries nor the data. It
            # gets the capability to do so; the permissions of the folders are left as they are.
            "--securebits=+no_setuid_fixup",  # for access(2), which PostgreSQL calls
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
        ]
    return PostgresUser((*command_prefix, "--"), uid, gid)


def is_accessible(uid: int, gid: int, path: Path) -> bool:
    return all(_can_read_and_enter(uid, gid, folder) for folder in (path, *path.parents))


def _can_read_and_enter(uid: int, gid: int, directory: Path) -> bool:
    file_stat = directory.stat()
    if file_stat.st_uid == uid:
        return file_stat.st_mode & 0o500 == 0o500
    if file_stat.st_gid == gid:
        return file_stat.st_mode & 0o050 == 0o050
    return file_stat.st_mode & 0o005 == 0o005


def _data_dir_owner(data_dir: Path) -> tuple[int, int] | None:
    """PostgreSQL requires that its data belongs to the user that runs it."""
    if not (data_dir / "PG_VERSION").exists() or data_dir.stat().st_uid == 0:
        return None
    return data_dir.stat().st_uid, data_dir.stat().st_gid


def _find_or_create_system_user() -> tuple[int, int]:
    """A user for PostgreSQL, or `nobody` if none can be created."""
    if useradd := shutil.which("useradd"):
        command = [
            useradd,
            "--system",
            "--no-create-home",
            "--shell",
            "/bin/false",
            SYSTEM_USER_NAME,
        ]
        subprocess.run(command, capture_output=True, check=False)  # 9: exists already
    for name in (SYSTEM_USER_NAME, "nobody"):
        try:
            passwd_entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return passwd_entry.pw_uid, passwd_entry.pw_gid
    raise InfraError("PostgreSQL does not run as root and no user could be created for it; set DATABASE_URL.")
