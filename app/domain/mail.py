"""E-mail and SMS: who sends, and when a message that was deferred is tried again."""

from dataclasses import dataclass

FIRST_RETRY_SECONDS = 30.0
MAX_RETRY_SECONDS = 15 * 60.0
SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Sender:
    """Name (may be empty) and address of MAIL_FROM."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def retry_delay(attempts: int, draw: float) -> float:
    """Seconds until the next attempt, after so many: 30, doubled each time up to 15 minutes.

    Up to a tenth is added by `draw` in [0, 1), so that what was deferred together is not tried
    together again.
    """
    period: float = min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(attempts - 1, 32))
    return period * (1.0 + SPREAD * draw)
