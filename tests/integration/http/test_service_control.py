"""Control of the embedded services: only embedded ones, one command at a time, and their states.

On a DynamoDB of its own, because other tests use the shared services.
"""

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from app.devtools.service_control import (
    COMMAND_RUNNING,
    NOT_EMBEDDED,
    EmbeddedServiceControl,
    ServiceCommand,
)
from app.domain.errors import Rejected, Unavailable
from harness.waiting import wait_until
from infra.services import EmbeddedServices

pytestmark = pytest.mark.service
SECONDS = 90.0


@pytest.fixture(scope="module")
def dedicated_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServices]:
    services = EmbeddedServices(tmp_path_factory.mktemp("switches"))
    services.start("dynamodb")
    yield services
    services.stop("dynamodb")


@pytest.fixture
def service_control(dedicated_services: EmbeddedServices) -> EmbeddedServiceControl:
    return EmbeddedServiceControl(dedicated_services.paths.data_dir, dedicated_services.env("dynamodb"))


def _wait_for_state(service_control: EmbeddedServiceControl, state: str) -> None:
    def is_reached() -> bool:
        gevent.sleep(0.05)  # commands are greenlets
        service = service_control.embedded_service_states()["dynamodb"]
        assert service.last_error is None, service.last_error
        return service.state == state and service.command is None

    wait_until(is_reached, state, SECONDS)


def test_service_can_be_paused_resumed_killed_and_started(service_control: EmbeddedServiceControl) -> None:
    for verb, state in (
        (ServiceCommand.PAUSE, "paused"),
        (ServiceCommand.RESUME, "running"),
        (ServiceCommand.KILL, "stopped"),
        (ServiceCommand.START, "running"),
    ):
        service_control.start_command("dynamodb", verb)
        _wait_for_state(service_control, state)


def test_external_service_cannot_be_controlled(dedicated_services: EmbeddedServices) -> None:
    switches = EmbeddedServiceControl(
        dedicated_services.paths.data_dir, {"DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1"}
    )

    assert switches.embedded_service_states() == {}
    with pytest.raises(Rejected, match=str(NOT_EMBEDDED())):
        switches.start_command("dynamodb", ServiceCommand.STOP)
    assert dedicated_services.status("dynamodb")["dynamodb"].state == "running"


def test_data_dir_without_services_has_no_controls(tmp_path: Path) -> None:
    assert (
        EmbeddedServiceControl(tmp_path, {"REDIS_URL": "redis://127.0.0.1:1/0"}).embedded_service_states()
        == {}
    )


def test_stale_service_states_are_not_shown(
    dedicated_services: EmbeddedServices,
    service_control: EmbeddedServiceControl,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first read succeeds; every later one fails."""
    assert service_control.embedded_service_states()["dynamodb"].state == "running"
    ports_text = dedicated_services.paths.ports_file.read_text()
    dedicated_services.paths.ports_file.write_text("damaged")
    monkeypatch.setattr("app.devtools.service_control.STATUS_REFRESH_SECONDS", 0.0)
    monkeypatch.setattr("app.devtools.service_control.STATUS_MAX_AGE_SECONDS", 0.0)
    try:
        with pytest.raises(Unavailable):
            service_control.embedded_service_states()
    finally:
        dedicated_services.paths.ports_file.write_text(ports_text)


def test_second_command_is_refused_and_a_repeated_one_is_accepted(
    service_control: EmbeddedServiceControl,
) -> None:
    assert set(service_control.embedded_service_states()) == {"dynamodb"}
    service_control.start_command("dynamodb", ServiceCommand.RESUME)
    service_control.start_command("dynamodb", ServiceCommand.RESUME)
    with pytest.raises(Rejected, match=str(COMMAND_RUNNING())):
        service_control.start_command("dynamodb", ServiceCommand.STOP)
    _wait_for_state(service_control, "running")


def test_command_environment_has_no_secrets(
    service_control: EmbeddedServiceControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", "a secret that a service must not have")
    monkeypatch.setenv("NOTIFICATIONS_RUN", "the mark of a run, whose leftovers are ended")

    command_environment = service_control.infra_command_environment()

    assert "JWT_SECRET_KEY" not in command_environment
    assert "NOTIFICATIONS_RUN" not in command_environment
