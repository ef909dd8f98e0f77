"""Limits: how often somebody may try, in Redis for all processes, in memory where that is away.

In    app/accounts.py, app/credentials.py, blueprints/identity.py
Out   TooMany (429), or nothing

Writes are counted in this process alone: a like must stay at one round trip, and a limit that is
meant against floods may be as many times higher as there are web processes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import redis
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import breakers
from app.addresses import block_of
from app.domain.errors import Rejected

REDIS_SECONDS = 0.2
AWAY_SECONDS = 5.0
# Contract 6.26: failures of an account from one address, from all devices it does not know, and of
# one address.
UNKNOWN_DEVICES, ADDRESS = 4, 10
MAX_KEYS = 100_000


class TooMany(Rejected):
    """Come back in `retry_after` seconds."""

    def __init__(self, sentence: str, retry_after: int) -> None:
        super().__init__(sentence, "too_many", 429)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Rates:
    """Already checked by settings.py."""

    enabled: bool
    log_in: str
    register: str
    write: str


class Memory:
    """Counts that live in this process, and no longer than their time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[str, tuple[int, float]] = {}

    def add(self, key: str, seconds: int, amount: int) -> int:
        now = self._now()
        count, ends = self._counts.get(key, (0, 0.0))
        if ends <= now:
            if len(self._counts) >= MAX_KEYS:
                self._counts = {k: kept for k, kept in self._counts.items() if kept[1] > now}
            if len(self._counts) >= MAX_KEYS:
                self._counts.clear()  # a flood of names: forget rather than grow
            count, ends = 0, now + seconds
        count = max(count + amount, 0)
        self._counts[key] = count, ends
        return count


class Shared:
    """The same in Redis. An away or frozen one costs 0.2 s once in five, and then memory counts."""

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self._storage = RedisStorage(
            url,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]
        )
        self._memory = Memory(now)
        self._now = now
        self._back_at = 0.0

    def add(self, key: str, seconds: int, amount: int) -> int:
        if self._now() >= self._back_at:
            try:
                return self._storage.incr(key, seconds, amount)
            except redis.RedisError as fault:
                said = "Limits are counted in memory"
                breakers.REDIS.outage.failed(f"{said}: {type(fault).__name__}", said)
                self._back_at = self._now() + AWAY_SECONDS
        return self._memory.add(key, seconds, amount)


class Limits:
    def __init__(self, rates: Rates, redis_url: str, now: Callable[[], float]) -> None:
        self._enabled = rates.enabled
        self._log_in, self._register = parse(rates.log_in), parse(rates.register)
        write = parse(rates.write)
        self._write_most, self._write_seconds = write.amount, write.get_expiry()
        self._shared = Shared(redis_url, now)
        self._now = now
        self._writes: dict[str, int] = {}
        self._writes_end = 0.0

    def log_in(self, account: str, address: str, device: str | None = None) -> None:
        """Counts a try before it is made, so that many at once are not more. `device`: one that the
        account knows is counted by itself, so that strangers cannot shut its owner out. Raises
        TooMany."""
        sentence = "Too many login attempts. Please try again in {}."
        keys = self._log_in_keys(account, address, device)
        for place, (key, factor) in enumerate(keys):
            try:
                self._count(self._log_in, key, sentence, factor)
            except TooMany:
                # A refused try is no failure of the others, or one address could shut an account.
                self._give_back(keys[:place])
                raise

    def log_in_worked(self, account: str, address: str, device: str | None = None) -> None:
        """It was no failure after all (or nobody could tell)."""
        self._give_back(self._log_in_keys(account, address, device))

    def register(self, address: str) -> None:
        sentence = "Too many registration attempts. Please try again in {}."
        self._count(self._register, f"register:{block_of(address)}", sentence)

    def letter(self, purpose: str, account: str, address: str) -> None:
        """Codes and reset tokens: whoever asks for them fills somebody's mailbox."""
        sentence = "Too many requests. Please try again in {}."
        self._count(self._log_in, f"{purpose}:{account}", sentence)
        self._count(self._log_in, f"{purpose}:from:{block_of(address)}", sentence, ADDRESS)

    def guess(self, purpose: str, account: str) -> None:
        self._count(self._log_in, f"{purpose}:{account}", "Too many tries. Please try again in {}.")

    def write(self, user_id: str) -> None:
        if not self._enabled:
            return
        now = self._now()
        if now >= self._writes_end:
            self._writes, self._writes_end = {}, now + self._write_seconds
        count = self._writes[user_id] = self._writes.get(user_id, 0) + 1
        if count > self._write_most:
            seconds = max(1, round(self._writes_end - now))
            raise TooMany("You are too fast. Please slow down a little.", seconds)

    def _log_in_keys(self, account: str, address: str, device: str | None) -> list[tuple[str, int]]:
        if device is not None:
            return [(f"login:{account}:device:{device}", 1)]
        block = block_of(address)
        return [
            (f"login:{account}:{block}", 1),
            (f"login:from:{block}", ADDRESS),
            (f"login:{account}", UNKNOWN_DEVICES),
        ]

    def _give_back(self, keys: list[tuple[str, int]]) -> None:
        if self._enabled:
            for key, _ in keys:
                self._shared.add(key, self._log_in.get_expiry(), -1)

    def _count(self, rate: RateLimitItem, key: str, sentence: str, factor: int = 1) -> None:
        if not self._enabled:
            return
        seconds = rate.get_expiry()
        if self._shared.add(key, seconds, 1) > rate.amount * factor:
            raise TooMany(sentence.format(_words(seconds)), seconds)


def _words(seconds: int) -> str:
    for size, name in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            many = seconds // size
            return f"{many} {name}" if many == 1 else f"{many} {name}s"
    return f"{seconds} seconds"
