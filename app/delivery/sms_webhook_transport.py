"""Transport for text messages over a webhook (SMS_WEBHOOK_URL)."""

import urllib.error
import urllib.request
from http.client import HTTPException

import gevent

from app.clients import circuit_breaker
from app.delivery.mail_message import OutboundEmailOrSms, render_sms_json
from app.delivery.message_transport import DeliveryDeferred, TransportTimeouts, is_server_unavailable_error
from app.domain.errors import Rejected, Unavailable

RETRIABLE_HTTP_STATUSES = frozenset({408, 425, 429})


class SmsWebhookTransport:
    """POSTs {id, to, type, text} as JSON. 4xx other than 408, 425 and 429 is a permanent rejection."""

    def __init__(self, url: str, timeouts: TransportTimeouts | None = None) -> None:
        self._url = url
        self._timeouts = timeouts or TransportTimeouts()
        # No redirect handler: it would turn a POST into a GET.
        self._url_opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._url_opener.add_handler(handler)

    def send(self, message: OutboundEmailOrSms) -> None:
        request = urllib.request.Request(  # noqa: S310 - settings.py accepts http(s) URLs only
            self._url,
            data=render_sms_json(message),
            headers={"Content-Type": "application/json", "Idempotency-Key": message.id},
            method="POST",
        )
        with gevent.Timeout(self._timeouts.attempt_seconds, DeliveryDeferred("the attempt timed out")):
            self._post_and_check_status(request)

    def _post_and_check_status(self, request: urllib.request.Request) -> None:
        with circuit_breaker.SMS.guard_call(is_server_unavailable_error):
            status = self._send_and_read_status(request)
        if status in RETRIABLE_HTTP_STATUSES or status >= 500:
            raise DeliveryDeferred(f"the webhook answered {status}")
        if not 200 <= status < 300:
            raise Rejected(f"the webhook answered {status}", "refused")

    def _send_and_read_status(self, request: urllib.request.Request) -> int:
        """Returns the HTTP status."""
        try:
            with self._url_opener.open(request, timeout=self._timeouts.response_seconds) as response:
                return int(response.status)
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code
        except urllib.error.URLError as exc:  # raised only before the request is sent
            cause = type(exc.reason).__name__
            raise Unavailable(f"The SMS webhook is unavailable: {cause}", "sms_unavailable") from exc
        except (OSError, HTTPException) as exc:
            problem = f"the webhook sent no response: {type(exc).__name__}"
            raise DeliveryDeferred(problem) from exc
