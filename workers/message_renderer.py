"""Message renderer: makes the e-mail or SMS of a claimed row, as its recipient would read it now."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from app.delivery.links import NotificationLinks, notification_path
from app.delivery.mail_message import OutboundEmailOrSms
from app.domain.errors import Poisoned, Rejected
from app.domain.events import CRITICAL_KINDS, UNGROUPED_KINDS, Kind
from app.messaging.message_encryption import MessageEncryption
from app.persistence.claimed_messages import ClaimedMessage

log = logging.getLogger(__name__)


class MessageRenderer:
    """render() raises Poisoned for a message that cannot be rendered."""

    def __init__(self, encryption: MessageEncryption, links: NotificationLinks) -> None:
        self._encryption = encryption
        self._links = links

    def render(self, claimed_message: ClaimedMessage) -> OutboundEmailOrSms:
        if claimed_message.render_error:
            raise Poisoned(claimed_message.render_error)
        client_event = claimed_message.payload or {}
        message = OutboundEmailOrSms(
            id=f"{claimed_message.notification_id}-{claimed_message.version}",
            recipient_address=claimed_message.email_address or "",
            kind=claimed_message.kind,
            title=str(client_event.get("title")),
            text=self._decrypted_or_redacted_text(client_event, claimed_message.encrypted_body),
            created_at=claimed_message.created_at,
        )
        if claimed_message.kind is Kind.PASSWORD_RESET:
            return replace(message, link_url=self._links.absolute_url("/password/reset"))
        if claimed_message.kind in CRITICAL_KINDS:
            return message
        return replace(
            message,
            link_url=None
            if claimed_message.kind in UNGROUPED_KINDS
            else self._links.absolute_url(notification_path(client_event)),
            unsubscribe_url=self._links.unsubscribe_url(claimed_message.user_id, claimed_message.kind),
        )

    def _decrypted_or_redacted_text(
        self, client_event: Mapping[str, object], encrypted_body: str | None
    ) -> str:
        if encrypted_body is not None:
            try:
                return self._encryption.decrypt(encrypted_body)
            except Rejected as exc:
                log.error(
                    "The body of a message cannot be decrypted, its redacted text is sent: %s",
                    exc,
                    extra={"event": "message_decryption_failed"},
                )
        return str(client_event.get("message"))
