"""Three Kafka brokers on one machine, each also a controller, for drills that kill one of them.

services = EmbeddedServices(folder, services_by_name=three_broker_services())
services.start()
services.kill("kafka-2")        # acknowledged records are on at least one of the others
"""

import signal
import uuid
from collections.abc import Mapping

from infra.kafka import (
    API_VERSIONS_REQUEST,
    LOGGING_OPTIONS,
    SERVER_PROPERTIES_TEMPLATE,
    encode_cluster_id,
    format_storage,
)
from infra.paths import DataDirPaths
from infra.processes import LaunchSpec
from infra.service import EmbeddedService, java_command, send_and_receive
from infra.services import SERVICES

BROKER_IDS = (1, 2, 3)
MIN_IN_SYNC_REPLICAS = 2
"""A record is acknowledged when two brokers have it, so that one may fail at any time."""


class KafkaBroker:
    stop_signal = signal.SIGTERM

    def __init__(self, broker_id: int) -> None:
        self.broker_id = broker_id
        self.name = f"kafka-{broker_id}"
        self.port_names = (self.name, _controller_port_name(broker_id))

    def prepare_launch(self, paths: DataDirPaths, ports: Mapping[str, int]) -> LaunchSpec:
        service_dir = paths.service_dir(self.name)
        service_dir.mkdir(exist_ok=True)
        properties_file = service_dir / "server.properties"
        port = ports[self.name]
        properties_file.write_text(
            SERVER_PROPERTIES_TEMPLATE.format(
                broker=port,
                advertised=ports.get(f"{self.name}_advertised", port),
                controller=ports[_controller_port_name(self.broker_id)],
                voters=",".join(f"{n}@127.0.0.1:{ports[_controller_port_name(n)]}" for n in BROKER_IDS),
                node=self.broker_id,
                replicas=len(BROKER_IDS),
                in_sync=MIN_IN_SYNC_REPLICAS,
            )
        )
        if not (service_dir / "logs" / "meta.properties").exists():
            format_storage(paths, self.name, properties_file, _shared_cluster_id(paths))
        options = [*LOGGING_OPTIONS, "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC"]
        command = java_command(paths, self.name, options, "kafka")
        command += ["kafka.Kafka", str(properties_file)]
        return LaunchSpec(command, working_dir=service_dir, log_file=paths.log_file(self.name))

    def is_ready(self, paths: DataDirPaths, ports: Mapping[str, int]) -> bool:
        return len(send_and_receive(ports[self.name], API_VERSIONS_REQUEST)) > 8

    def environment_variables(self, paths: DataDirPaths, ports: Mapping[str, int]) -> dict[str, str]:
        servers = ",".join(f"127.0.0.1:{ports[f'kafka-{n}']}" for n in BROKER_IDS)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "KAFKA_REPLICATION_FACTOR": str(len(BROKER_IDS)),
        }


def three_broker_services() -> dict[str, EmbeddedService]:
    """The embedded services with kafka-1, kafka-2 and kafka-3 instead of kafka."""
    brokers: dict[str, EmbeddedService] = {service.name: service for service in map(KafkaBroker, BROKER_IDS)}
    return {name: service for name, service in SERVICES.items() if name != "kafka"} | brokers


def _controller_port_name(broker_id: int) -> str:
    return f"kafka-{broker_id}_controller"


def _shared_cluster_id(paths: DataDirPaths) -> str:
    """Derived from DATA_DIR, so that all three brokers have the same id without a shared file."""
    return encode_cluster_id(uuid.uuid5(uuid.NAMESPACE_URL, paths.process_tag("kafka")))
