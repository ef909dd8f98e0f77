"""Probes: whether a service responds, on connections of their own, so that no probe waits for the pools that
requests use.
"""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterable
from urllib.parse import urlsplit

import psycopg2

from app.clients import postgres
from app.domain.errors import Unavailable
from app.kafka_settings import KafkaConnection
from app.persistence.delivery_log import TABLE_NAME, create_dynamodb_client, translate_dynamodb_errors
from app.settings import ServiceUrls

CONNECT_TIMEOUT_SECONDS, WEB_TIMEOUT_SECONDS = 1.0, 3.0


def ping_postgres(database_url: str) -> None:
    """Raises Unavailable."""
    try:
        postgres.ping_or_raise(database_url)
    except psycopg2.Error as exc:
        raise Unavailable("PostgreSQL did not respond", "postgres_unavailable") from exc


def connect_to_kafka(connection: KafkaConnection) -> None:
    """Returns when any broker accepts a connection. Raises Unavailable."""
    addresses = [server.rpartition(":") for server in connection.bootstrap_servers]
    _connect_to_any([(host, int(port)) for host, _, port in addresses], "Kafka")


def connect_to_dynamodb(service_urls: ServiceUrls) -> None:
    """Raises Unavailable."""
    url = service_urls.dynamodb_endpoint_url or f"https://dynamodb.{service_urls.aws_region}.amazonaws.com"
    parsed_url = urlsplit(url)
    port = parsed_url.port or (443 if parsed_url.scheme == "https" else 80)
    _connect_to_any([(str(parsed_url.hostname), port)], "DynamoDB")


def _connect_to_any(addresses: Iterable[tuple[str, int]], service: str) -> None:
    cause: OSError | None = None
    for address in addresses:
        try:
            socket.create_connection(address, timeout=CONNECT_TIMEOUT_SECONDS).close()
        except OSError as exc:
            cause = exc
        else:
            return
    raise Unavailable(f"{service} did not respond", f"{service.lower()}_unavailable") from cause


def read_delivery_log_status(service_urls: ServiceUrls) -> str | None:
    """The status of the table of the delivery log; None if it does not exist. Raises Unavailable."""
    client = create_dynamodb_client(service_urls.dynamodb_endpoint_url, service_urls.aws_region)
    with translate_dynamodb_errors("describe its table"):
        try:
            return str(client.describe_table(TableName=TABLE_NAME)["Table"]["TableStatus"])
        except client.exceptions.ResourceNotFoundException:
            return None


def read_ready_status(netloc: str) -> tuple[int, str]:
    """The status of GET /ready, and `netloc`. Raises Unavailable."""
    try:
        with urllib.request.urlopen(f"http://{netloc}/ready", timeout=WEB_TIMEOUT_SECONDS) as response:
            return int(response.status), netloc
    except urllib.error.HTTPError as exc:
        return exc.code, netloc
    except OSError as exc:
        raise Unavailable(f"nothing on {netloc}", "web_unavailable") from exc
