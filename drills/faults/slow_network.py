"""The network is slow, trickles, stands still, or is half open; one service at a time."""

from collections.abc import Callable

from drills.drill import EVERYTHING, LONGEST_SECONDS, Drill, Scene
from drills.ground import Setup
from drills.proxy import Proxy

ROUND_TRIPS = 12
"""Of the longest request: nothing stands still, but each takes its time."""
LANES = ("redis", "kafka", "postgres")


def half_open(proxy: Proxy, lane: str) -> None:
    proxy.half_close(lane, "down")
    proxy.half_close(lane, "up")


def stalled(proxy: Proxy, lane: str) -> None:
    proxy.set(lane, stalled=0.25)
    proxy.reset(lane)


def bad(weather: Callable[[Proxy, str], None], seconds: float) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        proxy = scene.rig.proxy
        assert proxy
        for lane in LANES:
            weather(proxy, lane)
            scene.load(scene.pick(seconds / 2, seconds))
            proxy.heal(lane)
            proxy.reset(lane)  # what hangs half-way would hang for ever
            scene.load(scene.pick(2, 4))

    return act


def drill(
    name: str,
    breaks: str,
    weather: Callable[[Proxy, str], None],
    seconds: float,
    longest: float = LONGEST_SECONDS,
) -> Drill:
    return Drill(
        name, breaks, ("P1", "P2", "P11"), bad(weather, seconds), setup=Setup(proxied=True),
        may_put_off=EVERYTHING, longest=longest, rest_seconds=240,
    )  # fmt: skip


DRILLS = (
    drill(
        "network-slow", "network: 200 ms ± 100 to Redis, Kafka, PostgreSQL in turn",
        lambda proxy, lane: proxy.set(lane, delay=0.2, jitter=0.1), 12, ROUND_TRIPS * 0.4,
    ),
    drill(
        "network-trickle", "network: 10 kB/s in pieces of 16 bytes",
        lambda proxy, lane: proxy.set(lane, bytes_per_second=10_000, piece=16), 10,
    ),
    drill(
        "network-gone", "network: nothing arrives, nothing is refused",
        lambda proxy, lane: proxy.set(lane, drop=("up", "down")), 10,
    ),
    drill(
        "network-half-open", "network: one direction closed, then the other",
        half_open, 4,
    ),
    drill(
        "network-stalled", "network: every fourth new connection carries nothing",
        stalled, 10,
    ),
)  # fmt: skip
