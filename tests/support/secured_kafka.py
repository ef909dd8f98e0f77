"""An embedded Kafka broker whose clients need TLS and a password."""

import signal
import uuid
from collections.abc import Mapping
from pathlib import Path

from infra.kafka import (
    API_VERSIONS_REQUEST,
    LOGGING_OPTIONS,
    SERVER_PROPERTIES_TEMPLATE,
    encode_cluster_id,
    format_storage,
)
from infra.paths import DataDirPaths
from infra.processes import LaunchSpec
from infra.service import java_command, send_and_receive
from tests.support.certificates import CertificateFiles

USERNAME, PASSWORD = "chime", "Kafka@secret%4711"
SCRAM_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")

# The listener PLAINTEXT, which the template declares, is for the broker itself and for is_ready().
SECURITY_PROPERTIES_TEMPLATE = """\
listeners=PLAINTEXT://127.0.0.1:{internal},SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{internal},SASL_SSL://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{username}="{password}";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
"""


class SecuredKafka:
    name = "kafka"
    port_names = ("kafka", "kafka_internal", "kafka_controller")
    stop_signal = signal.SIGTERM

    def __init__(self, certificates: CertificateFiles) -> None:
        self._certificates = certificates

    def prepare_launch(self, paths: DataDirPaths, ports: Mapping[str, int]) -> LaunchSpec:
        service_dir = paths.service_dir(self.name)
        service_dir.mkdir(exist_ok=True)
        properties_file = service_dir / "server.properties"
        properties_file.write_text(self._properties(ports))
        scram_users = [
            f"--add-scram={mechanism}=[name={USERNAME},password={PASSWORD}]" for mechanism in SCRAM_MECHANISMS
        ]
        cluster_id = encode_cluster_id(uuid.uuid5(uuid.NAMESPACE_URL, paths.process_tag("kafka")))
        format_storage(paths, self.name, properties_file, cluster_id, scram_users)
        options = [*LOGGING_OPTIONS, "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC"]
        command = [*java_command(paths, self.name, options), "kafka.Kafka", str(properties_file)]
        return LaunchSpec(command, working_dir=service_dir, log_file=paths.log_file(self.name))

    def is_ready(self, paths: DataDirPaths, ports: Mapping[str, int]) -> bool:
        return len(send_and_receive(ports["kafka_internal"], API_VERSIONS_REQUEST)) > 8

    def environment_variables(self, paths: DataDirPaths, ports: Mapping[str, int]) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{ports['kafka']}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
            "KAFKA_SASL_USERNAME": USERNAME,
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_CAFILE": str(self._certificates.ca_file),
        }

    def _properties(self, ports: Mapping[str, int]) -> str:
        base_properties = SERVER_PROPERTIES_TEMPLATE.format(
            broker=ports["kafka_internal"],
            advertised=ports["kafka_internal"],
            controller=ports["kafka_controller"],
            voters=f"1@127.0.0.1:{ports['kafka_controller']}",
            node=1,
            replicas=1,
            in_sync=1,
        )
        # Of two lines with the same name the last one counts.
        return base_properties + SECURITY_PROPERTIES_TEMPLATE.format(
            internal=ports["kafka_internal"],
            port=ports["kafka"],
            controller=ports["kafka_controller"],
            username=USERNAME,
            password=PASSWORD,
            keystore=_escape(self._certificates.server_key_and_chain_file),
            truststore=_escape(self._certificates.ca_file),
        )


def _escape(path: Path) -> str:
    return str(path).replace("\\", "\\\\")
