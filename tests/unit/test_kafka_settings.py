"""The settings of a secured Kafka cluster: options of the client, and combinations that are refused."""

import os
from pathlib import Path

import pytest
from environs import Env

from app.kafka_settings import KafkaConnection, read_kafka_connection
from app.setting_readers import SettingsError

SETTING_NAMES = (
    "KAFKA_SECURITY_PROTOCOL",
    "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SSL_CAFILE",
)
PASSWORD = "hunter2-hunter2"
SASL_SETTINGS = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "chime",
    "KAFKA_SASL_PASSWORD": PASSWORD,
}


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\n")
    return path


def read(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> KafkaConnection:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "one:9092, two:9092")
    for name in SETTING_NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return read_kafka_connection(Env())


@pytest.mark.parametrize("settings", [{}, {"KAFKA_SECURITY_PROTOCOL": ""}], ids=["unset", "empty"])
def test_default_is_plaintext_without_credentials(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    options = read(monkeypatch, settings).client_options()

    assert options["bootstrap_servers"] == ["one:9092", "two:9092"]
    assert options["security_protocol"] == "PLAINTEXT"
    assert not any(name.startswith("sasl") for name in options)


def test_credentials_and_authority_are_options_of_the_client(
    monkeypatch: pytest.MonkeyPatch, ca_file: Path
) -> None:
    settings = SASL_SETTINGS | {"KAFKA_SSL_CAFILE": str(ca_file), "KAFKA_SECURITY_PROTOCOL": "sasl_ssl"}

    options = read(monkeypatch, settings).client_options()

    assert options == {
        "bootstrap_servers": ["one:9092", "two:9092"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "chime",
        "sasl_plain_password": PASSWORD,
        "ssl_cafile": str(ca_file),
    }


def test_text_of_a_connection_does_not_contain_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = read(monkeypatch, SASL_SETTINGS)

    assert PASSWORD not in f"{connection} {connection!r}"
    assert "chime" in repr(connection)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "PLAINTEXT, SSL, SASL_PLAIN", id="unknown protocol"),
        pytest.param({"KAFKA_SASL_MECHANISM": "GSSAPI"}, "PLAIN, SCRAM-SHA-256", id="unknown mechanism"),
        pytest.param({"KAFKA_SASL_MECHANISM": ""}, "KAFKA_SASL_MECHANISM is not set", id="no mechanism"),
        pytest.param({"KAFKA_SASL_USERNAME": ""}, "KAFKA_SASL_USERNAME is not set", id="no user"),
        pytest.param({"KAFKA_SASL_PASSWORD": ""}, "KAFKA_SASL_PASSWORD is not set", id="no password"),
        pytest.param({"KAFKA_SECURITY_PROTOCOL": "SSL"}, "expected SASL_SSL", id="a user without SASL"),
        pytest.param({"KAFKA_SECURITY_PROTOCOL": ""}, "expected SASL_SSL", id="a user on PLAINTEXT"),
        pytest.param({"KAFKA_SSL_CAFILE": "/no/such/file"}, "cannot be read", id="a missing authority file"),
        pytest.param({"KAFKA_SSL_CAFILE": os.devnull}, "no certificate", id="another file"),
    ],
)
def test_bad_combination_is_refused_without_showing_the_password(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], expected: str
) -> None:
    with pytest.raises(SettingsError) as error:
        read(monkeypatch, SASL_SETTINGS | changes)

    assert expected in str(error.value)
    assert PASSWORD not in str(error.value)


def test_authority_without_tls_is_refused(monkeypatch: pytest.MonkeyPatch, ca_file: Path) -> None:
    settings = SASL_SETTINGS | {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SSL_CAFILE": str(ca_file),
    }

    with pytest.raises(SettingsError, match="expected SASL_SSL or SSL"):
        read(monkeypatch, settings)
