"""Kafka is killed, frozen or unreachable: afterwards push and windows resume within five seconds (P6), and
each process has logged the start and the end of the outage."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from app.domain.worker_loops import WORKER_PROCESSES
from drills.sandbox import write_ports
from drills.tcp_proxy_client import TcpProxyProcess
from harness.network import free_port
from harness.waiting import wait_until
from infra import ports
from infra.services import NON_DURABLE_SERVICES, EmbeddedServices
from infra.services import SERVICE_NAMES as SERVICES
from tests.conftest import migrate
from tests.support.cluster import WebCluster, start_cluster
from tests.support.http_client import BrowserTab, HttpClient

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit, pytest.mark.drill]
WINDOW_SECONDS = 1.5
RESUME_SECONDS = 5.0
OUTAGE_SECONDS = 12.0
"""Longer than the session time-out of a consumer."""
NAMES = ("Ann", "Ben", "Cem", "Dan", "Eve", "Fay")


@dataclass
class KafkaOutageSetup:
    """Services that a test may break, Kafka behind a proxy, and processes that use them."""

    services: EmbeddedServices
    proxy: TcpProxyProcess
    cluster: WebCluster

    def cut(self) -> None:
        self.proxy.configure("kafka", drop=("up", "down"))

    def refuse(self) -> None:
        self.proxy.reset_connections("kafka")
        self.proxy.configure("kafka", refuse=True)

    def heal(self) -> None:
        self.proxy.clear_toxics("kafka")
        self.proxy.reset_connections("kafka")

    def restore(self) -> None:
        """Ends the outage of a failed test."""
        self.proxy.clear_toxics("kafka")
        self.services.resume("kafka")
        self.services.start("kafka")


@pytest.fixture(scope="module")
def kafka_outage_setup(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaOutageSetup]:
    with tempfile.TemporaryDirectory(prefix="notifications-test-", ignore_cleanup_errors=True) as d:
        Path(d).chmod(0o755)
        services = EmbeddedServices(d, services_by_name=NON_DURABLE_SERVICES)
        services.paths.create_dirs()
        real_ports = ports.assign_ports(services.paths.ports_file, (*SERVICES, "kafka_controller"))
        proxy_port = free_port()
        # The advertised address must be the one of the proxy.
        write_ports(services.paths.ports_file, real_ports | {"kafka_advertised": proxy_port})
        proxy = TcpProxyProcess({"kafka": (proxy_port, real_ports["kafka"])})
        try:
            services.start()
            migrate(services.env())
            own_environment = environment | services.env()
            own_environment |= {"DATA_DIR": str(services.paths.data_dir), "LOG_FORMAT": "text"}
            own_environment |= {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{proxy_port}"}
            own_environment |= {"AGGREGATION_WINDOW_SECONDS": str(WINDOW_SECONDS)}
            own_environment |= {"AGGREGATION_JITTER_SECONDS": "0", "INSTANT_LIKE_THRESHOLD": "1"}
            with start_cluster(own_environment, tmp_path_factory.mktemp("processes"), 1) as cluster:
                yield KafkaOutageSetup(services, proxy, cluster)
        finally:
            proxy.close()
            services.stop()


@dataclass
class ToastTimer:
    """An author with a tab, and users who like."""

    author: HttpClient
    tab: BrowserTab
    fans: list[HttpClient]
    usual_seconds: float = 0.0
    """Delay of a toast without an outage on this machine."""

    def like_new_post(self) -> str:
        """All users like a new post: one like is announced at once, the others at the end of the window."""
        post = self.author.create_post()
        for fan in self.fans:
            fan.like(post)
        return post

    def count_toasts(self, post: str) -> int:
        return sum(data.get("targetId") == post for data in self.tab.data_of("notification"))

    def wait_for_toasts(self, post: str, count: int, timeout_seconds: float) -> None:
        self.tab.wait_until(lambda: self.count_toasts(post) >= count, f"{count} toasts", timeout_seconds)


@pytest.fixture
def toast_timer(kafka_outage_setup: KafkaOutageSetup) -> Iterator[ToastTimer]:
    """An immediate announcement and one of a window have just arrived, so everything works."""
    kafka_outage_setup.restore()
    author, *fans = kafka_outage_setup.cluster.register_clients(*NAMES)
    toast_timer = ToastTimer(author, author.open_tab(), fans)
    toast_timer.wait_for_toasts(toast_timer.like_new_post(), count=2, timeout_seconds=90)
    post, started_at = toast_timer.like_new_post(), time.monotonic()
    toast_timer.wait_for_toasts(post, count=1, timeout_seconds=90)
    toast_timer.usual_seconds = time.monotonic() - started_at
    toast_timer.wait_for_toasts(post, count=2, timeout_seconds=90)
    yield toast_timer
    toast_timer.tab.disconnect()
    kafka_outage_setup.restore()


OUTAGES: dict[str, tuple[Callable[[KafkaOutageSetup], object], Callable[[KafkaOutageSetup], object]]] = {
    "killed": (lambda setup: setup.services.kill("kafka"), lambda setup: setup.services.start("kafka")),
    "frozen": (lambda setup: setup.services.pause("kafka"), lambda setup: setup.services.resume("kafka")),
    "cut off": (KafkaOutageSetup.cut, KafkaOutageSetup.heal),
    "refused": (KafkaOutageSetup.refuse, KafkaOutageSetup.heal),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_push_and_windows_resume_within_five_seconds_of_kafka_recovery(
    kafka_outage_setup: KafkaOutageSetup, toast_timer: ToastTimer, outage: str
) -> None:
    fault, cure = OUTAGES[outage]
    workers = [
        kafka_outage_setup.cluster.scenario.processes.process_by_name[name] for name in WORKER_PROCESSES
    ]
    log_lengths = {worker.name: len(worker.log_path.read_text()) for worker in workers}

    def log_lines(name: str) -> list[str]:
        """Warnings and errors since the start of the test."""
        log_text = kafka_outage_setup.cluster.scenario.processes.process_by_name[name].log_path.read_text()[
            log_lengths[name] :
        ]
        return [line for line in log_text.splitlines() if " WARNING " in line or " ERROR " in line]

    def has_logged_end_or_nothing(name: str) -> bool:
        return len(log_lines(name)) != 1

    fault(kafka_outage_setup)
    outage_ends_at, posts_of_outage = time.monotonic() + OUTAGE_SECONDS, []
    while time.monotonic() < outage_ends_at:
        posts_of_outage.append(toast_timer.like_new_post())
        time.sleep(1)  # the rate of the load, not a wait for a condition
    cure(kafka_outage_setup)
    post, recovered_at = toast_timer.like_new_post(), time.monotonic()

    limit = RESUME_SECONDS + 2 * toast_timer.usual_seconds
    toast_timer.wait_for_toasts(post, 1, limit)
    toast_timer.wait_for_toasts(post, 2, recovered_at + limit + WINDOW_SECONDS - time.monotonic())
    for post_of_outage in posts_of_outage:
        toast_timer.wait_for_toasts(post_of_outage, 1, limit)
    for name in WORKER_PROCESSES:
        wait_until(
            partial(has_logged_end_or_nothing, name), f"the end of the outage in the log of {name}", 20
        )
        events = [line.partition("Outage ")[2].partition(":")[0] for line in log_lines(name)]
        # A process that has not used Kafka during the outage, such as the flusher, logs nothing.
        assert events in (["begins [kafka]", "is over [kafka]"], []), log_lines(name)
    assert log_lines("bridge")
    assert log_lines("aggregator")
