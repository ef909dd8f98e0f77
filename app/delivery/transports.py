"""Choice of the transport for each channel: SMTP and SMS webhook, or files where no URL is set."""

from email.headerregistry import Address
from pathlib import Path

from app.delivery.file_transports import FileEmailTransport, FileSmsTransport
from app.delivery.message_transport import EMAIL, SMS, MessageTransport
from app.delivery.sms_webhook_transport import SmsWebhookTransport
from app.delivery.smtp_transport import SmtpTransport


def create_transports_by_channel(
    data_dir: Path, smtp_url: str | None, webhook_url: str | None, sender: Address
) -> dict[str, MessageTransport]:
    """The transport by channel."""
    folder = data_dir / "outbox"
    return {
        EMAIL: SmtpTransport(smtp_url, sender) if smtp_url else FileEmailTransport(folder, sender),
        SMS: SmsWebhookTransport(webhook_url) if webhook_url else FileSmsTransport(folder),
    }
