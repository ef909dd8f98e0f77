"""The delivery log on DynamoDB Local: append-only, idempotent, read newest first."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.errors import Unavailable
from app.persistence.delivery_log import (
    MAX_BATCH_ITEMS,
    RETENTION_SECONDS,
    TABLE_NAME,
    DeliveryLog,
    build_delivery_log_item,
    create_dynamodb_client,
)
from tests.support.fixtures import new_id

NOW = 1_780_000_000.0


def ready_message(
    user_id: str, client_seq: int = 1, client_event: str = "notification", **changes: Any
) -> dict[str, Any]:
    """A message of the ready topic, as parse_ready_record returns it."""
    data = {
        "id": new_id(),
        "type": "LIKE",
        "priority": "HIGH",
        "version": 3,
        "metadata": {"channels": ["PUSH"]},
    }
    return {
        "id": client_seq,
        "targetId": user_id,
        "clientEvent": client_event,
        "seq": client_seq,
        "at": f"2026-06-01T12:00:{client_seq % 60:02}.{client_seq // 60:03}Z",
        "data": data | changes,
    }


@pytest.mark.parametrize(
    ("client_event", "channels", "status"),
    [
        pytest.param("notification", ["PUSH"], "SENT", id="an announcement"),
        pytest.param("notification", [], "FILTERED_PREFS", id="an announcement without a channel"),
        pytest.param("notification", ["EMAIL"], "SENT", id="an announcement without push"),
        pytest.param("notification_updated", [], "SENT", id="a correction"),
    ],
)
def test_status_follows_from_the_event_type(client_event: str, channels: list[str], status: str) -> None:
    item = build_delivery_log_item(
        ready_message(new_id(), client_event=client_event, metadata={"channels": channels}), NOW
    )

    assert item["status"] == {"S": status}


def test_item_has_its_notification_id_and_expiry_time() -> None:
    record = ready_message(new_id())

    item = build_delivery_log_item(record, NOW)

    assert item["notificationId"] == {"S": record["data"]["id"]}
    assert item["version"] == {"N": "3"}
    assert item["expiresAt"] == {"N": str(int(NOW) + RETENTION_SECONDS)}


def test_same_client_event_is_the_same_item() -> None:
    record = ready_message(new_id())

    assert build_delivery_log_item(record, NOW) == build_delivery_log_item(record, NOW)
    assert (
        build_delivery_log_item(record, NOW)["id"]
        != build_delivery_log_item(ready_message(new_id(), client_seq=2), NOW)["id"]
    )


@pytest.fixture(scope="module")
def delivery_log(environment: dict[str, str]) -> Iterator[DeliveryLog]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "local")
        delivery_log = DeliveryLog(create_dynamodb_client(environment["DYNAMODB_ENDPOINT_URL"], "us-east-1"))
        delivery_log.create_table()
        yield delivery_log


@pytest.mark.service
class TestWithDynamoDB:
    def test_creating_the_table_again_keeps_its_items(self, delivery_log: DeliveryLog) -> None:
        user_id = new_id()
        delivery_log.append([build_delivery_log_item(ready_message(user_id), NOW)])

        delivery_log.create_table()

        assert len(delivery_log.list_by_user(user_id, 10)) == 1

    def test_expiry_is_enabled_when_the_creator_of_the_table_did_not(self, delivery_log: DeliveryLog) -> None:
        client = delivery_log._client
        client.update_time_to_live(
            TableName=TABLE_NAME,
            TimeToLiveSpecification={"Enabled": False, "AttributeName": "expiresAt"},
        )

        delivery_log.create_table()

        expiry = client.describe_time_to_live(TableName=TABLE_NAME)["TimeToLiveDescription"]
        assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expiresAt")

    def test_entries_are_listed_newest_first(self, delivery_log: DeliveryLog) -> None:
        user_id = new_id()

        delivery_log.append([build_delivery_log_item(ready_message(user_id, n), NOW) for n in (2, 1, 3)])

        assert [entry["seq"] for entry in delivery_log.list_by_user(user_id, 10)] == ["3", "2", "1"]

    def test_list_returns_at_most_the_limit(self, delivery_log: DeliveryLog) -> None:
        user_id = new_id()
        delivery_log.append([build_delivery_log_item(ready_message(user_id, n), NOW) for n in range(1, 6)])

        assert [entry["seq"] for entry in delivery_log.list_by_user(user_id, 2)] == ["5", "4"]

    def test_items_appended_again_are_stored_once(self, delivery_log: DeliveryLog) -> None:
        user_id = new_id()
        items = [build_delivery_log_item(ready_message(user_id, n), NOW) for n in (1, 2)]

        for _ in range(2):
            delivery_log.append(items)

        assert len(delivery_log.list_by_user(user_id, 10)) == 2

    def test_more_items_than_a_batch_are_all_stored(self, delivery_log: DeliveryLog) -> None:
        user_id = new_id()
        item_count = 2 * MAX_BATCH_ITEMS + 7

        delivery_log.append(
            [build_delivery_log_item(ready_message(user_id, n), NOW) for n in range(1, item_count + 1)]
        )

        assert len(delivery_log.list_by_user(user_id, item_count + 1)) == item_count

    def test_list_has_only_items_of_its_user(self, delivery_log: DeliveryLog) -> None:
        ann_id, ben_id = new_id(), new_id()
        delivery_log.append([build_delivery_log_item(ready_message(ann_id), NOW)])

        assert delivery_log.list_by_user(ben_id, 10) == []

    def test_log_without_dynamodb_is_unavailable(self, delivery_log: DeliveryLog) -> None:
        unreachable_log = DeliveryLog(create_dynamodb_client("http://127.0.0.1:1", "us-east-1"))

        with pytest.raises(Unavailable):
            unreachable_log.append([build_delivery_log_item(ready_message(new_id()), NOW)])
        with pytest.raises(Unavailable):
            unreachable_log.list_by_user(new_id(), 1)
        with pytest.raises(Unavailable):
            unreachable_log.create_table()


class PartiallyAcceptingDynamoDB:
    """Stores only a given number of items of each call and returns the others as unprocessed."""

    def __init__(self, client: Any, accepted_counts: list[int]) -> None:
        self._client, self._accepted_counts = client, accepted_counts

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:
        items, accepted_count = RequestItems[TABLE_NAME], self._accepted_counts.pop(0)
        if accepted := items[:accepted_count]:
            self._client.batch_write_item(RequestItems={TABLE_NAME: accepted})
        unprocessed = items[accepted_count:]
        return {"UnprocessedItems": {TABLE_NAME: unprocessed} if unprocessed else {}}


@pytest.mark.service
def test_unprocessed_items_are_sent_again(delivery_log: DeliveryLog) -> None:
    user_id = new_id()
    partial_log = DeliveryLog(PartiallyAcceptingDynamoDB(delivery_log._client, [3, 1, 25]))

    partial_log.append([build_delivery_log_item(ready_message(user_id, n), NOW) for n in range(1, 9)])

    assert len(delivery_log.list_by_user(user_id, 20)) == 8


@pytest.mark.service
def test_append_is_unavailable_when_no_item_is_accepted(delivery_log: DeliveryLog) -> None:
    partial_log = DeliveryLog(PartiallyAcceptingDynamoDB(delivery_log._client, [3, 0]))

    with pytest.raises(Unavailable):
        partial_log.append([build_delivery_log_item(ready_message(new_id(), n), NOW) for n in range(1, 9)])
