"""Three brokers of Kafka on one machine, each also a controller, for drills that end one of them.

In    infra/kafka.py: jars, properties
Out   infra/services.py: `Services(folder, known=three_brokers())`

    services.start()
    services.kill("kafka-2")        # acknowledged records are on one of the two others
"""

import signal
import uuid
from collections.abc import Mapping

from infra.kafka import API_VERSIONS, LOGGING, PROPERTIES, cluster_id, format_storage
from infra.layout import Layout
from infra.processes import Launch
from infra.service import Service, ask, java
from infra.services import SERVICES

BROKERS = (1, 2, 3)
IN_SYNC = 2
"""Acknowledged means written by so many: one may die at any time."""


class Broker:
    stop_signal = signal.SIGTERM

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"kafka-{number}"
        self.port_names = (self.name, _controller(number))

    def prepare(self, layout: Layout, ports: Mapping[str, int]) -> Launch:
        folder = layout.folder(self.name)
        folder.mkdir(exist_ok=True)
        properties = folder / "server.properties"
        port = ports[self.name]
        properties.write_text(
            PROPERTIES.format(
                broker=port,
                advertised=ports.get(f"{self.name}_advertised", port),
                controller=ports[_controller(self.number)],
                voters=",".join(f"{n}@127.0.0.1:{ports[_controller(n)]}" for n in BROKERS),
                node=self.number,
                replicas=len(BROKERS),
                in_sync=IN_SYNC,
            )
        )
        if not (folder / "logs" / "meta.properties").exists():
            format_storage(layout, self.name, properties, _cluster_id(layout))
        options = [*LOGGING, "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC"]
        command = java(layout, self.name, options, "kafka")
        command += ["kafka.Kafka", str(properties)]
        return Launch(command, folder=folder, log=layout.log(self.name))

    def answers(self, layout: Layout, ports: Mapping[str, int]) -> bool:
        return len(ask(ports[self.name], API_VERSIONS)) > 8

    def settings(self, layout: Layout, ports: Mapping[str, int]) -> dict[str, str]:
        servers = ",".join(f"127.0.0.1:{ports[f'kafka-{n}']}" for n in BROKERS)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "KAFKA_REPLICATION_FACTOR": str(len(BROKERS)),
        }


def three_brokers() -> dict[str, Service]:
    """The usual services, with kafka-1, kafka-2 and kafka-3 in the place of kafka."""
    brokers: dict[str, Service] = {one.name: one for one in map(Broker, BROKERS)}
    return {name: one for name, one in SERVICES.items() if name != "kafka"} | brokers


def _controller(number: int) -> str:
    return f"kafka-{number}_controller"


def _cluster_id(layout: Layout) -> str:
    """The same for all three and for ever, without a file that they would have to agree on."""
    return cluster_id(uuid.uuid5(uuid.NAMESPACE_URL, layout.tag("kafka")))
