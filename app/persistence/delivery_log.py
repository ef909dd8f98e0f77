"""The delivery log: an append-only DynamoDB table with one item per delivered, seen or suppressed event.

In: ready records of workers/delivery_log_writer.py. Out: items of NotificationLogs. The item id is derived
from the record, so that appending a record again changes nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from app.clients import circuit_breaker
from app.domain.errors import Unavailable
from app.persistence.seen_receipts import SEEN_EVENT_NAME
from app.persistence.suppressed_events import SUPPRESSED_EVENT_NAME

log = logging.getLogger(__name__)
TABLE_NAME = "NotificationLogs"
RETENTION_SECONDS = 30 * 24 * 3600
MAX_BATCH_ITEMS = 25
"""The limit of BatchWriteItem."""


def create_dynamodb_client(endpoint: str | None, region: str) -> Any:
    """Create one per process: importing boto3 and loading its models blocks the gevent hub for half a second,
    and few of the processes that import this module need the 8 MB."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=region,
        config=Config(
            connect_timeout=1,
            read_timeout=2,
            # The deliverer retries with backoff. Retries in both layers would multiply.
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=10,
        ),
    )


@contextmanager
def translate_dynamodb_errors(operation: str) -> Iterator[None]:
    """Turns DynamoDB errors into Unavailable. While the circuit breaker is open, the call is not made."""
    try:
        with circuit_breaker.DYNAMODB.guard_call(_is_connection_failure):
            yield
    except (BotoCoreError, ClientError) as exc:
        raise Unavailable(f"DynamoDB did not {operation}", "dynamodb_unavailable") from exc


def _is_connection_failure(exc: BaseException) -> bool:
    """Refused, interrupted or timed out. An error response is not a connection failure."""
    return isinstance(exc, ConnectionError | HTTPClientError)


def _string_attribute_definition(name: str) -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": "S"}


def _index_definition(name: str, partition_key: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": partition_key, "KeyType": "HASH"},
            {"AttributeName": "createdAt", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }


class DeliveryLog:
    def __init__(self, client: Any) -> None:
        self._client = client

    def create_table(self) -> None:
        """Creates the table if it does not exist. Raises Unavailable."""
        with translate_dynamodb_errors("create the delivery log"):
            self._create_table()
            self._enable_expiry()

    def _create_table(self) -> None:
        try:
            self._client.create_table(
                TableName=TABLE_NAME,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    _string_attribute_definition(attribute)
                    for attribute in ("id", "createdAt", "userId", "priority")
                ],
                KeySchema=[
                    {"AttributeName": "id", "KeyType": "HASH"},
                    {"AttributeName": "createdAt", "KeyType": "RANGE"},
                ],
                GlobalSecondaryIndexes=[
                    _index_definition("UserIdIndex", "userId"),
                    _index_definition("PriorityIndex", "priority"),
                ],
            )
        except self._client.exceptions.ResourceInUseException:
            log.debug("The delivery log exists", extra={"event": "delivery_log_exists"})

    def _enable_expiry(self) -> None:
        """Also for a table that exists: its creator may have ended before this."""
        response = self._client.describe_time_to_live(TableName=TABLE_NAME)
        if response["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED":
            self._client.update_time_to_live(
                TableName=TABLE_NAME,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiresAt"},
            )

    def append(self, items: Sequence[dict[str, Any]]) -> None:
        """Appends all items. Raises Unavailable; some items may be stored then, and appending them again is
        harmless."""
        requests = [{"PutRequest": {"Item": item}} for item in items]
        while requests:
            batch, requests = requests[:MAX_BATCH_ITEMS], requests[MAX_BATCH_ITEMS:]
            with translate_dynamodb_errors("append to the delivery log"):
                response = self._client.batch_write_item(RequestItems={TABLE_NAME: batch})
            unprocessed = response.get("UnprocessedItems", {}).get(TABLE_NAME, [])
            if len(unprocessed) == len(batch):
                # Throttled: an immediate retry would make it worse.
                raise Unavailable("DynamoDB is throttling writes", "dynamodb_throttled")
            requests = unprocessed + requests

    def list_by_user(
        self, user_id: str, limit: int, after: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Newest first. `after`: the (createdAt, id) of the last item of the previous page."""
        start_options: dict[str, Any] = {}
        if after:
            start_key = {"userId": user_id, "createdAt": after[0], "id": after[1]}
            start_options["ExclusiveStartKey"] = {name: {"S": value} for name, value in start_key.items()}
        with translate_dynamodb_errors("read the delivery log"):
            response = self._client.query(
                TableName=TABLE_NAME,
                IndexName="UserIdIndex",
                KeyConditionExpression="userId = :user",
                ExpressionAttributeValues={":user": {"S": user_id}},
                ScanIndexForward=False,
                Limit=limit,
                **start_options,
            )
        return [
            {name: next(iter(typed_value.values())) for name, typed_value in item_attributes.items()}
            for item_attributes in response["Items"]
        ]


def build_delivery_log_item(record: dict[str, Any], now_seconds: float) -> dict[str, Any]:
    """The item for one ready record: recipient, notification, version and channels, or the reason why events
    were suppressed."""
    data = record["data"]
    channels = data.get("metadata", {}).get("channels", [])
    is_suppressed = record["clientEvent"] == SUPPRESSED_EVENT_NAME
    unique_name = f"outbox:{record['id']}:{record['at']}"
    if is_suppressed:
        unique_name = f"ended:{data.get('id')}:{data.get('status')}"
    return {
        "id": {"S": str(uuid5(NAMESPACE_URL, unique_name))},
        "createdAt": {"S": data["at"] if is_suppressed else record["at"]},
        "userId": {"S": record["targetId"]},
        "priority": {"S": str(data.get("priority", "LOW"))},
        "notificationId": {"S": str(data.get("id"))},
        "type": {"S": str(data.get("type", record["clientEvent"]))},
        "clientEvent": {"S": record["clientEvent"]},
        "status": {"S": _delivery_status(record["clientEvent"], data, channels)},
        "count": {"N": str(data.get("count", 1))},
        "version": {"N": str(data.get("version", 0))},
        "seq": {"N": str(record.get("seq") or 0)},
        "channels": {"L": [{"S": str(channel)} for channel in channels]},
        "expiresAt": {"N": str(int(now_seconds) + RETENTION_SECONDS)},
    }


def _delivery_status(event_name: str, data: dict[str, Any], channels: list[str]) -> str:
    if event_name == SUPPRESSED_EVENT_NAME:
        return str(data["status"])
    if event_name == SEEN_EVENT_NAME:
        return "SEEN"
    # No channels: the recipient disabled them after the row was written.
    return "SENT" if channels or event_name != "notification" else "FILTERED_PREFS"
