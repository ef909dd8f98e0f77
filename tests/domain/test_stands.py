"""How far an event has come: one word for the steps that were noted."""

import pytest

from app.domain.progress import Stand, stand

INGRESS = {"accepted": "", "published": ""}
GATHERED = INGRESS | {"aggregated": "gathered"}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param({}, Stand.ACCEPTED, id="nobody moved it yet"),
        pytest.param({"accepted": "", "spilled": ""}, Stand.QUEUED, id="Kafka is away"),
        pytest.param({"queued": ""}, Stand.QUEUED, id="only the queue knows it"),
        pytest.param(
            {"spilled": "", "queued": "", "sent from the queue": ""}, Stand.PUBLISHED, id="drained"
        ),
        pytest.param(INGRESS, Stand.PUBLISHED, id="in Kafka"),
        pytest.param(GATHERED, Stand.HELD, id="in a window"),
        pytest.param(INGRESS | {"aggregated": "delivered"}, Stand.WRITTEN, id="told at once"),
        pytest.param(INGRESS | {"aggregated": "merged"}, Stand.WRITTEN, id="known before"),
        pytest.param(INGRESS | {"aggregated": "self"}, Stand.ENDED, id="one's own doing"),
        pytest.param(GATHERED | {"written": ""}, Stand.WRITTEN, id="written, not settled"),
        pytest.param(GATHERED | {"closed": "delivered"}, Stand.WRITTEN, id="its window closed"),
        pytest.param(GATHERED | {"closed": "muted"}, Stand.ENDED, id="muted meanwhile"),
        pytest.param(
            GATHERED | {"closed": "delivered", "written": "", "emitted": ""},
            Stand.ANNOUNCED,
            id="on the sockets",
        ),
    ],
)
def test_the_last_step_says_how_far(steps: dict[str, str], expected: Stand) -> None:
    assert stand(steps) is expected
