"""The delivery log on DynamoDB Local: append-only, safe to repeat, newest first."""

from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.stores.delivery_log import BATCH, KEPT_SECONDS, TABLE, DeliveryLog, dynamodb, item
from tests.cast import new_id

NOW = 1_780_000_000.0


def ready(user: str, place: int = 1, frame: str = "notification", **changes: Any) -> dict[str, Any]:
    """A ready record as parse_ready hands it on."""
    data = {
        "id": new_id(),
        "type": "LIKE",
        "priority": "HIGH",
        "version": 3,
        "metadata": {"channels": ["PUSH"]},
    }
    return {
        "id": place,
        "targetId": user,
        "frame": frame,
        "seq": place,
        "at": f"2026-06-01T12:00:{place % 60:02}.{place // 60:03}Z",
        "data": data | changes,
    }


@pytest.mark.parametrize(
    ("frame", "channels", "status"),
    [
        pytest.param("notification", ["PUSH"], "SENT", id="an announcement"),
        pytest.param("notification", [], "FILTERED_PREFS", id="one without a channel"),
        pytest.param("notification", ["EMAIL"], "SENT", id="one that does not push"),
        pytest.param("notification_updated", [], "SENT", id="a correction"),
    ],
)
def test_statuses(frame: str, channels: list[str], status: str) -> None:
    made = item(ready(new_id(), frame=frame, metadata={"channels": channels}), NOW)

    assert made["status"] == {"S": status}


def test_an_item_names_its_notification_and_when_it_may_go() -> None:
    record = ready(new_id())

    made = item(record, NOW)

    assert made["notificationId"] == {"S": record["data"]["id"]}
    assert made["version"] == {"N": "3"}
    assert made["expiresAt"] == {"N": str(int(NOW) + KEPT_SECONDS)}


def test_the_same_frame_is_the_same_item() -> None:
    record = ready(new_id())

    assert item(record, NOW) == item(record, NOW)
    assert item(record, NOW)["id"] != item(ready(new_id(), place=2), NOW)["id"]


@pytest.fixture(scope="module")
def log(environment: dict[str, str]) -> DeliveryLog:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "local")
        made = DeliveryLog(dynamodb(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1"))
        made.create()
        yield made


@pytest.mark.service
class TestOnDynamoDB:
    def test_making_it_again_changes_nothing(self, log: DeliveryLog) -> None:
        user = new_id()
        log.record([item(ready(user), NOW)])

        log.create()

        assert len(log.of_user(user, 10)) == 1

    def test_entries_come_newest_first(self, log: DeliveryLog) -> None:
        user = new_id()

        log.record([item(ready(user, n), NOW) for n in (2, 1, 3)])

        assert [entry["seq"] for entry in log.of_user(user, 10)] == ["3", "2", "1"]

    def test_a_page_is_no_longer_than_it_was_told(self, log: DeliveryLog) -> None:
        user = new_id()
        log.record([item(ready(user, n), NOW) for n in range(1, 6)])

        assert [entry["seq"] for entry in log.of_user(user, 2)] == ["5", "4"]

    def test_recording_again_doubles_nothing(self, log: DeliveryLog) -> None:
        user = new_id()
        items = [item(ready(user, n), NOW) for n in (1, 2)]

        for _ in range(2):
            log.record(items)

        assert len(log.of_user(user, 10)) == 2

    def test_more_than_one_batch_is_recorded_whole(self, log: DeliveryLog) -> None:
        user = new_id()
        many = 2 * BATCH + 7

        log.record([item(ready(user, n), NOW) for n in range(1, many + 1)])

        assert len(log.of_user(user, many + 1)) == many

    def test_each_user_has_their_own(self, log: DeliveryLog) -> None:
        ann, ben = new_id(), new_id()
        log.record([item(ready(ann), NOW)])

        assert log.of_user(ben, 10) == []

    def test_an_absent_dynamodb_is_unavailable(self, log: DeliveryLog) -> None:
        absent = DeliveryLog(dynamodb("http://127.0.0.1:1", "us-east-1"))

        with pytest.raises(Unavailable):
            absent.record([item(ready(new_id()), NOW)])
        with pytest.raises(Unavailable):
            absent.of_user(new_id(), 1)
        with pytest.raises(Unavailable):
            absent.create()


class Shy:
    """DynamoDB on a busy day: takes only so many of each call and hands the others back."""

    def __init__(self, real: Any, takes: list[int]) -> None:
        self._real, self._takes = real, takes

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:
        page, most = RequestItems[TABLE], self._takes.pop(0)
        if page[:most]:
            self._real.batch_write_item(RequestItems={TABLE: page[:most]})
        return {"UnprocessedItems": {TABLE: page[most:]} if page[most:] else {}}


@pytest.mark.service
def test_what_it_hands_back_is_given_again(log: DeliveryLog) -> None:
    user = new_id()
    shy = DeliveryLog(Shy(log._client, [3, 1, 25]))

    shy.record([item(ready(user, n), NOW) for n in range(1, 9)])

    assert len(log.of_user(user, 20)) == 8


@pytest.mark.service
def test_one_that_takes_nothing_is_asked_later(log: DeliveryLog) -> None:
    shy = DeliveryLog(Shy(log._client, [3, 0]))

    with pytest.raises(Unavailable):
        shy.record([item(ready(new_id(), n), NOW) for n in range(1, 9)])
