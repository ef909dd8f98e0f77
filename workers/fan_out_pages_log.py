"""Records of the topic bulk-notifications: the pages of fan-outs, for the delivery log.

Input: record values that app/messaging/outbox_relay.py publishes for the outbox event `fan_out_page`. Output:
one delivery log item per recipient of the page.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from app.domain.errors import Poisoned
from app.messaging.outbox_relay import FAN_OUT_PAGE_EVENT
from app.persistence.delivery_log import build_delivery_log_item
from app.persistence.suppressed_events import SUPPRESSED_EVENT_NAME, status_of_outcome


def delivery_log_items_of_page(value: bytes | None, now_seconds: float) -> list[dict[str, Any]]:
    """The items of a page. Raises Poisoned for anything that is not the record of a page."""
    try:
        record = orjson.loads(value or b"")
        if record["clientEvent"] != FAN_OUT_PAGE_EVENT:
            raise Poisoned("not a page of a fan-out")
        return [build_delivery_log_item(ready, now_seconds) for ready in _iter_ready_records(record)]
    except (KeyError, TypeError, ValueError, IndexError) as exc:
        raise Poisoned("the record of a page is malformed") from exc


def _iter_ready_records(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One record per recipient, as it would be on the ready topic."""
    page = record["data"]
    # The ids of the items are derived from these values, so that a page read twice is stored once.
    common = {"at": record["at"]}
    for user_id, notification_id, version, client_seq, number in page["entries"]:
        data = {
            "id": notification_id,
            "type": page["type"],
            "priority": page["priority"],
            "version": version,
            "metadata": {"channels": page["channels"][number]},
        }
        client_event = page["clientEvents"][number]
        item_id = f"{record['id']}:{notification_id}"
        yield common | {
            "id": item_id,
            "targetId": user_id,
            "clientEvent": client_event,
            "seq": client_seq,
            "data": data,
        }
    for outcome, user_ids in page["suppressed"].items():
        for user_id in user_ids:
            data = {
                "id": f"{page['fanOutId']}:{user_id}",
                "type": page["type"],
                "priority": page["priority"] or "LOW",
                "status": status_of_outcome(outcome),
                "count": 1,
                "at": record["at"],
                "metadata": {"channels": []},
            }
            yield common | {
                "id": record["id"],
                "targetId": user_id,
                "clientEvent": SUPPRESSED_EVENT_NAME,
                "data": data,
            }
