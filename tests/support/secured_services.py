"""PostgreSQL, Valkey and Kafka with TLS and passwords, each until its `with` block ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis
from sqlalchemy import make_url

from infra.services import EmbeddedServices
from tests.conftest import start_services
from tests.support.certificates import CertificateFiles
from tests.support.secured_kafka import SecuredKafka
from tests.support.tls_proxy import tls_proxy

REDIS_PASSWORD = "Redis@secret%4711"


@dataclass(frozen=True, slots=True)
class SecuredRedis:
    port: int
    certificates: CertificateFiles

    def url(self, password: str = REDIS_PASSWORD, trusted: CertificateFiles | None = None) -> str:
        ca_file = (trusted or self.certificates).ca_file
        return f"rediss://:{quote(password)}@127.0.0.1:{self.port}/0?ssl_ca_certs={ca_file}"


@contextmanager
def secured_redis(certificates: CertificateFiles) -> Iterator[SecuredRedis]:
    with start_services("redis") as services:
        with redis.Redis.from_url(services.env("redis")["REDIS_URL"]) as connection:
            connection.config_set("requirepass", REDIS_PASSWORD)
            target_port = int(connection.connection_pool.connection_kwargs["port"])
        with tls_proxy(target_port, certificates.server_context()) as port:
            yield SecuredRedis(port, certificates)


@contextmanager
def secured_postgres(certificates: CertificateFiles) -> Iterator[str]:
    """Yields a URL with sslmode=verify-full."""
    with start_services("postgres") as services:
        plain_url = make_url(services.env("postgres")["DATABASE_URL"])
        assert plain_url.port is not None
        with tls_proxy(plain_url.port, certificates.server_context(), is_postgres=True) as port:
            yield trusting(plain_url.set(port=port).render_as_string(hide_password=False), certificates)


def trusting(database_url: str, certificates: CertificateFiles) -> str:
    query = {"sslmode": "verify-full", "sslrootcert": str(certificates.ca_file)}
    return make_url(database_url).update_query_dict(query).render_as_string(hide_password=False)


@contextmanager
def secured_kafka(certificates: CertificateFiles, data_dir: Path) -> Iterator[dict[str, str]]:
    """Yields the settings of its clients."""
    services = EmbeddedServices(data_dir, services_by_name={"kafka": SecuredKafka(certificates)})
    try:
        yield services.start()
    finally:
        services.stop()
