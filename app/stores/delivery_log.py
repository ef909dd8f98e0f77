"""The delivery log: each frame that went out, in DynamoDB, append-only.

The item's id comes from the frame, so that recording it again changes nothing.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from app import breakers
from app.domain.errors import Unavailable
from app.stores.endings import ENDED
from app.stores.seen import SEEN

log = logging.getLogger(__name__)
TABLE = "NotificationLogs"
KEPT_SECONDS = 30 * 24 * 3600
BATCH = 25
"""What BatchWriteItem takes at most."""


def dynamodb(endpoint: str | None, region: str) -> Any:
    """One client for the process: loading boto3's models stops the hub for half a second."""
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=region,
        config=Config(
            connect_timeout=1,
            read_timeout=2,
            # The recorder's loop tries again, with a growing pause; two layers would multiply.
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=10,
        ),
    )


@contextmanager
def speaking(what: str) -> Iterator[None]:
    """Turns DynamoDB's faults into Unavailable, and asks it only while its breaker trusts it."""
    try:
        with breakers.DYNAMODB.passage(_is_away):
            yield
    except (BotoCoreError, ClientError) as fault:
        raise Unavailable(f"DynamoDB did not {what}", "dynamodb_unavailable") from fault


def _is_away(fault: BaseException) -> bool:
    """Refused, cut off or silent. One that answers that it cannot is there."""
    return isinstance(fault, ConnectionError | HTTPClientError)


def _text(name: str) -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": "S"}


def _index(name: str, partition: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": "createdAt", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }


class DeliveryLog:
    def __init__(self, client: Any) -> None:
        self._client = client

    def create(self) -> None:
        """Makes the table when it is missing. Raises Unavailable."""
        with speaking("make its table"):
            self._create()

    def _create(self) -> None:
        try:
            self._client.create_table(
                TableName=TABLE,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[_text(n) for n in ("id", "createdAt", "userId", "priority")],
                KeySchema=[
                    {"AttributeName": "id", "KeyType": "HASH"},
                    {"AttributeName": "createdAt", "KeyType": "RANGE"},
                ],
                GlobalSecondaryIndexes=[
                    _index("UserIdIndex", "userId"),
                    _index("PriorityIndex", "priority"),
                ],
            )
            self._client.update_time_to_live(
                TableName=TABLE,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiresAt"},
            )
        except self._client.exceptions.ResourceInUseException:
            log.debug("The delivery log is there already")

    def record(self, items: Sequence[dict[str, Any]]) -> None:
        """All of them, or Unavailable (then some may be there already: recording again is
        harmless).
        """
        requests = [{"PutRequest": {"Item": item}} for item in items]
        while requests:
            page, requests = requests[:BATCH], requests[BATCH:]
            with speaking("take the log"):
                answer = self._client.batch_write_item(RequestItems={TABLE: page})
            left = answer.get("UnprocessedItems", {}).get(TABLE, [])
            if len(left) == len(page):
                # Asking again at once is what it asks us not to do.
                raise Unavailable("DynamoDB takes nothing for now", "dynamodb_throttled")
            requests = left + requests

    def of_user(
        self, user_id: str, limit: int, after: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Newest first; `after`: the (createdAt, id) of the last one seen."""
        start: dict[str, Any] = {}
        if after:
            place = {"userId": user_id, "createdAt": after[0], "id": after[1]}
            start["ExclusiveStartKey"] = {name: {"S": value} for name, value in place.items()}
        with speaking("tell the log"):
            answer = self._client.query(
                TableName=TABLE,
                IndexName="UserIdIndex",
                KeyConditionExpression="userId = :user",
                ExpressionAttributeValues={":user": {"S": user_id}},
                ScanIndexForward=False,
                Limit=limit,
                **start,
            )
        return [{name: next(iter(v.values())) for name, v in i.items()} for i in answer["Items"]]


def item(ready: dict[str, Any], now: float) -> dict[str, Any]:
    """The log's item for one ready record: who, which row, which version, by which channels; or
    which events ended without a row, and why."""
    data = ready["data"]
    channels = data.get("metadata", {}).get("channels", [])
    ended = ready["frame"] == ENDED
    name = f"outbox:{ready['id']}:{ready['at']}"
    if ended:
        name = f"ended:{data.get('id')}:{data.get('status')}"
    return {
        "id": {"S": str(uuid5(NAMESPACE_URL, name))},
        "createdAt": {"S": data["at"] if ended else ready["at"]},
        "userId": {"S": ready["targetId"]},
        "priority": {"S": str(data.get("priority", "LOW"))},
        "notificationId": {"S": str(data.get("id"))},
        "type": {"S": str(data.get("type", ready["frame"]))},
        "frame": {"S": ready["frame"]},
        "status": {"S": _status(ready["frame"], data, channels)},
        "count": {"N": str(data.get("count", 1))},
        "version": {"N": str(data.get("version", 0))},
        "seq": {"N": str(ready.get("seq") or 0)},
        "channels": {"L": [{"S": str(channel)} for channel in channels]},
        "expiresAt": {"N": str(int(now) + KEPT_SECONDS)},
    }


def _status(frame: str, data: dict[str, Any], channels: list[str]) -> str:
    if frame == ENDED:
        return str(data["status"])
    if frame == SEEN:
        return "SEEN"
    # Announced on no channel: switched off since it was written.
    return "SENT" if channels or frame != "notification" else "FILTERED_PREFS"
