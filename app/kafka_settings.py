"""How to connect to Kafka: the addresses of the brokers, TLS and SASL, read from the environment.

SettingsError is raised for a combination that cannot work or would connect without the intended protection.
"""

from dataclasses import dataclass, field
from pathlib import Path

from environs import Env

from app.setting_readers import SettingsError, read_choice, read_url

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True)
class SaslCredentials:
    mechanism: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """What every Kafka client connects with. Its text never contains the password."""

    bootstrap_servers: tuple[str, ...]
    security_protocol: str = "PLAINTEXT"
    sasl: SaslCredentials | None = None
    ssl_ca_file: str | None = None
    """PEM file; None: the certificate authorities of the system."""

    def client_options(self) -> dict[str, object]:
        """The keyword arguments of kafka-python's clients."""
        options: dict[str, object] = {
            "bootstrap_servers": list(self.bootstrap_servers),
            "security_protocol": self.security_protocol,
            "ssl_cafile": self.ssl_ca_file,
        }
        if self.sasl is not None:
            options |= {
                "sasl_mechanism": self.sasl.mechanism,
                "sasl_plain_username": self.sasl.username,
                "sasl_plain_password": self.sasl.password,
            }
        return options


def read_kafka_connection(env: Env) -> KafkaConnection:
    """Raises SettingsError."""
    servers = read_url(env, "KAFKA_BOOTSTRAP_SERVERS")
    protocol = read_choice(env, "KAFKA_SECURITY_PROTOCOL", "PLAINTEXT", SECURITY_PROTOCOLS)
    return KafkaConnection(
        bootstrap_servers=tuple(server.strip() for server in servers.split(",") if server.strip()),
        security_protocol=protocol,
        sasl=_read_sasl_credentials(env, protocol),
        ssl_ca_file=_read_ca_file(env, protocol),
    )


def _read_sasl_credentials(env: Env, protocol: str) -> SaslCredentials | None:
    values = {
        "KAFKA_SASL_MECHANISM": env.str("KAFKA_SASL_MECHANISM", ""),
        "KAFKA_SASL_USERNAME": env.str("KAFKA_SASL_USERNAME", ""),
        "KAFKA_SASL_PASSWORD": env.str("KAFKA_SASL_PASSWORD", ""),
    }
    if not protocol.startswith("SASL_"):
        for name, value in values.items():
            _require_unset(name, value, protocol, "SASL_SSL or SASL_PLAINTEXT")
        return None
    for name, value in values.items():
        if not value:
            raise SettingsError(f"{name} is not set, but KAFKA_SECURITY_PROTOCOL is {protocol}.")
    mechanism = read_choice(env, "KAFKA_SASL_MECHANISM", "", SASL_MECHANISMS)
    return SaslCredentials(mechanism, values["KAFKA_SASL_USERNAME"], values["KAFKA_SASL_PASSWORD"])


def _read_ca_file(env: Env, protocol: str) -> str | None:
    path = env.str("KAFKA_SSL_CAFILE", "")
    if not protocol.endswith("SSL"):
        _require_unset("KAFKA_SSL_CAFILE", path, protocol, "SASL_SSL or SSL")
    if not path:
        return None
    try:
        is_certificate = b"-----BEGIN CERTIFICATE-----" in Path(path).read_bytes()
    except OSError as exc:
        raise SettingsError(f"KAFKA_SSL_CAFILE {path} cannot be read: {exc.strerror}.") from exc
    if not is_certificate:
        raise SettingsError(f"KAFKA_SSL_CAFILE {path} contains no certificate in PEM format.")
    return path


def _require_unset(name: str, value: str, protocol: str, expected_protocol: str) -> None:
    if value:
        raise SettingsError(
            f"{name} is set, but KAFKA_SECURITY_PROTOCOL is {protocol}; expected {expected_protocol}."
        )
