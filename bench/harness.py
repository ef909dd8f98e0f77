"""The services and processes of a benchmark run.

By default it starts services of its own. BENCH_DATA_DIR names a set that runs already; its tables may
hold nothing but rows of earlier benchmark runs.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, text

from app.bootstrap import SharedServices, WorkerServices, build_worker_services
from app.clients.postgres import autocommit_engine
from app.failover.redis_failover import INGRESS_INSTANCE_ID_KEY
from app.settings import load_settings
from harness.environment import build_environment
from harness.fixtures import FIXTURE_EMAIL_DOMAIN
from harness.processes import ManagedProcess, create_web_process, create_worker, stop_all
from infra.run import migrate
from infra.services import EmbeddedServices

BENCH_SETTINGS = {
    "LOG_LEVEL": "warning",
    # Enabled, so that its cost is measured; the limit is never reached.
    "RATE_LIMIT_ENABLED": "true",
    "RATE_LIMIT_WRITE": "1000000000 per minute",
    # Its transactions would be counted among those of a flush.
    "RETENTION_INTERVAL_SECONDS": "0",
}
BENCH_INSTANCE_ID = "bench"
BENCH_TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass
class BenchHarness:
    embedded_services: EmbeddedServices
    log_dir: Path
    environment: dict[str, str]
    worker_services: WorkerServices
    processes: list[ManagedProcess] = field(default_factory=list)

    @property
    def redis_url(self) -> str:
        return self.environment["REDIS_URL"]

    def start_web(
        self, wsgi_app: str, extra_env: Mapping[str, str] | None = None, name: str | None = None
    ) -> ManagedProcess:
        """An application under gunicorn with the product's configuration. Returns when it responds."""
        environment = self.environment | dict(extra_env or {})
        web_process = create_web_process(name or wsgi_app, environment, self.log_dir, wsgi_app)
        self._start(web_process)
        web_process.wait_until_responding()
        return web_process

    def start_worker(self, name: str, extra_env: Mapping[str, str] | None = None) -> ManagedProcess:
        worker = create_worker(name, self.environment | dict(extra_env or {}), self.log_dir)
        self._start(worker)
        return worker

    def stop(self) -> None:
        """Stops all processes."""
        stop_all(self.processes)
        self.processes.clear()

    def _start(self, process: ManagedProcess) -> None:
        self.processes.append(process)
        process.start()


@contextlib.contextmanager
def run_harness(work_dir: Path, log: Callable[[str], None]) -> Iterator[BenchHarness]:
    """Stops what it started; services of BENCH_DATA_DIR keep running."""
    external_data_dir = os.environ.get("BENCH_DATA_DIR")
    services = EmbeddedServices(external_data_dir or work_dir / "services", log)
    log_dir = work_dir / "logs"
    log_dir.mkdir(parents=True, exist_ok=True)
    if not external_data_dir:
        _delete_services(services)
    harness = None
    try:
        log("Starting the services ...")
        settings = BENCH_SETTINGS | {"DATA_DIR": str(services.paths.data_dir)}
        environment = build_environment(services.start(), settings)
        os.environ.update(environment)
        migrate(services)
        harness = BenchHarness(
            services, log_dir, environment, build_worker_services(load_settings(), "bench")
        )
        _require_only_bench_users(harness)
        enable_ingress(harness.worker_services.services)
        yield harness
    finally:
        if harness is not None:
            harness.stop()
        if not external_data_dir:
            log("Stopping the services ...")
            _delete_services(services)


def _delete_services(services: EmbeddedServices) -> None:
    """Services of an interrupted run would keep their rows."""
    if services.paths.data_dir.is_dir():
        services.stop()
        shutil.rmtree(services.paths.data_dir, ignore_errors=True)


def _require_only_bench_users(harness: BenchHarness) -> None:
    """Guards against a BENCH_DATA_DIR with real data: the benchmark fills tables and empties Redis."""
    query = text("select count(*) from users where email not like :pattern")
    with harness.worker_services.services.engine.connect() as conn:
        other_user_count = conn.execute(query, {"pattern": f"%{FIXTURE_EMAIL_DOMAIN}"}).scalar_one()
    if other_user_count:
        raise RuntimeError(f"BENCH_DATA_DIR has {other_user_count} users that the benchmark did not create.")


def enable_ingress(services: SharedServices) -> None:
    """Empties Redis and ends a failover as the redis_failback worker does: S1 runs without workers."""
    services.redis.flushdb()
    services.redis.set(INGRESS_INSTANCE_ID_KEY, BENCH_INSTANCE_ID)
    services.redis_failover.start_failover("the benchmark starts")
    changed_at = services.redis_failover.read_state().changed_at
    services.redis_failover.pause_failover_writes(changed_at)
    services.redis_failover.end_failover(BENCH_INSTANCE_ID, BENCH_INSTANCE_ID, changed_at)


@contextlib.contextmanager
def without_autovacuum(engine: Engine) -> Iterator[None]:
    """Its transactions and its CPU time would be counted as those of the product."""

    def change_server_setting(statement: str) -> None:
        with autocommit_engine(engine).connect() as conn:
            conn.execute(text(statement))
            conn.execute(text("select pg_reload_conf()"))

    change_server_setting("alter system set autovacuum = off")
    try:
        yield
    finally:
        change_server_setting("alter system reset autovacuum")
