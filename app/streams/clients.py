"""How kafka-python's clients are made, so that one that cannot be made leaves nothing behind."""

from collections.abc import Callable
from typing import TypeVar

from kafka.net.compat import KafkaNetClient

T = TypeVar("T")


def connected(make: Callable[..., T], *args: object, **config: object) -> T:
    """A producer, consumer or admin client.

    When its constructor fails it leaves its event loop behind, and under gevent the leftover turns
    for ever at the cost of a whole core (measured): so we end it.
    """
    begun: list[KafkaNetClient] = []

    def begin(**options: object) -> KafkaNetClient:
        begun.append(KafkaNetClient(**options))
        return begun[-1]

    try:
        return make(*args, kafka_client=begin, **config)
    except BaseException:
        for one in begun:
            one.close()
        raise
