"""The network to one service after the other is slow, narrow, interrupted or half open."""

from collections.abc import Callable

from drills.drill import ALL_REQUEST_KINDS, MAX_RESPONSE_SECONDS, Drill, Scenario
from drills.sandbox import ClusterSpec
from drills.tcp_proxy_client import TcpProxyProcess

MAX_ROUND_TRIPS_PER_REQUEST = 12
"""Of the longest request; each is delayed."""
PROXIED_SERVICES = ("redis", "kafka", "postgres")


def half_close_connections(proxy: TcpProxyProcess, service: str) -> None:
    proxy.half_close(service, "down")
    proxy.half_close(service, "up")


def stall_new_connections(proxy: TcpProxyProcess, service: str) -> None:
    proxy.configure(service, stalled_connection_share=0.25)
    proxy.reset_connections(service)


def create_network_fault(
    apply_toxic: Callable[[TcpProxyProcess, str], None], seconds: float
) -> Callable[[Scenario], None]:
    def disturb_each_service(scenario: Scenario) -> None:
        proxy = scenario.cluster.proxy
        assert proxy
        for service in PROXIED_SERVICES:
            apply_toxic(proxy, service)
            scenario.run_load(scenario.pick_short_or_full(seconds / 2, seconds))
            proxy.clear_toxics(service)
            proxy.reset_connections(service)  # half-open connections would never end
            scenario.run_load(scenario.pick_short_or_full(2, 4))

    return disturb_each_service


def create_drill(
    name: str,
    fault_description: str,
    apply_toxic: Callable[[TcpProxyProcess, str], None],
    seconds: float,
    max_response_seconds: float = MAX_RESPONSE_SECONDS,
) -> Drill:
    return Drill(
        name,
        fault_description,
        ("P1", "P2", "P11"),
        create_network_fault(apply_toxic, seconds),
        cluster_spec=ClusterSpec(use_tcp_proxy=True),
        retry_later_kinds=ALL_REQUEST_KINDS,
        max_response_seconds=max_response_seconds,
        max_quiescence_seconds=240,
    )


DRILLS = (
    create_drill(
        "network-slow",
        "network: 200 ms ± 100 to Redis, Kafka, PostgreSQL in turn",
        lambda proxy, route: proxy.configure(route, delay_seconds=0.2, jitter_seconds=0.1),
        12,
        MAX_ROUND_TRIPS_PER_REQUEST * 0.4,
    ),
    create_drill(
        "network-trickle",
        "network: 10 kB/s in chunks of 16 bytes",
        lambda proxy, route: proxy.configure(route, bytes_per_second=10_000, chunk_bytes=16),
        10,
    ),
    create_drill(
        "network-gone",
        "network: nothing arrives, no connection is refused",
        lambda proxy, route: proxy.configure(route, held_directions=("up", "down")),
        10,
    ),
    create_drill(
        "network-half-open",
        "network: one direction closed, then the other",
        half_close_connections,
        4,
    ),
    create_drill(
        "network-stalled",
        "network: every fourth new connection forwards nothing",
        stall_new_connections,
        10,
    ),
)
