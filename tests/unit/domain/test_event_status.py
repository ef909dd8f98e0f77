"""The status of an event, derived from its recorded steps."""

import pytest

from app.domain.event_status import EventStatus, status_from_step_outcomes

INGRESS = {"accepted": "", "published": ""}
GATHERED = INGRESS | {"aggregated": "gathered"}


@pytest.mark.parametrize(
    ("outcome_by_step", "expected"),
    [
        pytest.param({}, EventStatus.ACCEPTED, id="no step yet"),
        pytest.param({"accepted": "", "sent_to_fallback": ""}, EventStatus.QUEUED, id="Kafka is unavailable"),
        pytest.param({"queued": ""}, EventStatus.QUEUED, id="only the queue has it"),
        pytest.param(
            {"sent_to_fallback": "", "queued": "", "sent from the queue": ""},
            EventStatus.PUBLISHED,
            id="drained",
        ),
        pytest.param(INGRESS, EventStatus.PUBLISHED, id="in Kafka"),
        pytest.param(GATHERED, EventStatus.WINDOWED, id="in a window"),
        pytest.param(INGRESS | {"aggregated": "delivered"}, EventStatus.WRITTEN, id="announced at once"),
        pytest.param(INGRESS | {"aggregated": "merged"}, EventStatus.WRITTEN, id="merged into a row"),
        pytest.param(INGRESS | {"aggregated": "self"}, EventStatus.ENDED, id="an event of the recipient"),
        pytest.param(GATHERED | {"written": ""}, EventStatus.WRITTEN, id="written, window not settled"),
        pytest.param(GATHERED | {"closed": "delivered"}, EventStatus.WRITTEN, id="its window closed"),
        pytest.param(GATHERED | {"closed": "muted"}, EventStatus.ENDED, id="muted meanwhile"),
        pytest.param(
            GATHERED | {"closed": "delivered", "written": "", "emitted": ""},
            EventStatus.ANNOUNCED,
            id="on the sockets",
        ),
    ],
)
def test_event_status_follows_from_the_last_step(
    outcome_by_step: dict[str, str], expected: EventStatus
) -> None:
    assert status_from_step_outcomes(outcome_by_step) is expected
