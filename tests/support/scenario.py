"""WorkerScenario: writes through the actions of the web process, and what the stores must contain then."""

from dataclasses import dataclass, field

from sqlalchemy import Engine, text

from app.bootstrap import SharedServices
from app.devtools.checker.store_invariants import StoreInvariants
from app.domain.errors import Unavailable
from app.ingest.memberships import DesiredState
from app.kafka_settings import KafkaConnection
from harness.waiting import WaitTimeoutError, wait_until
from tests.support.fixtures import insert_users
from tests.support.pipeline_idle import (
    IDLE_TIMEOUT_SECONDS,
    read_consumer_lag,
    wait_until_pipeline_is_idle,
)
from tests.support.processes import ProcessGroup


@dataclass
class WorkerScenario:
    processes: ProcessGroup
    services: SharedServices
    engine: Engine
    accepted_likes: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(post_id, user_id) -> the last accepted state."""

    def create_users(self, count: int) -> list[str]:
        return insert_users(self.engine, *(f"P{n}" for n in range(count)))

    def create_post(self, owner_id: str) -> str:
        return self.services.actions.create_post(owner_id, "Hello", None)

    def set_like(self, user_id: str, post_id: str, is_on: bool) -> None:
        """Repeats the request until it is accepted, as a client does after 503."""
        desired_state = DesiredState.ON if is_on else DesiredState.OFF
        for _ in range(50):
            try:
                self.services.actions.set_like(user_id, post_id, desired_state)
            except Unavailable:
                continue
            self.accepted_likes[post_id, user_id] = is_on
            return
        raise AssertionError("refused 50 times")

    def query(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(text(statement), values)]

    @property
    def invariants(self) -> StoreInvariants:
        return StoreInvariants(self.engine, self.services.redis)

    def forget_accepted_writes(self) -> None:
        """For emptied tables."""
        self.accepted_likes.clear()

    def assert_consistent_when_idle(self) -> None:
        """Waits until all accepted writes are stored and nothing is pending, then checks all invariants."""
        try:
            wait_until(self._is_idle, "an empty pipeline", IDLE_TIMEOUT_SECONDS)
        except WaitTimeoutError as exc:
            raise WaitTimeoutError(
                f"{exc}: {self._describe_pending()}\n{self.processes.log_tails()}"
            ) from None
        errors = [*self.invariants.find_violations(), *self._mismatches()]
        assert not errors, "\n".join([*errors, self.processes.log_tails()])

    def wait_until_idle(self) -> None:
        """Waits until the pipeline is empty, without comparing accepted writes; for tests that use HTTP."""
        wait_until_pipeline_is_idle(self.engine, self.services.redis, self._kafka_connection)

    def _is_idle(self) -> bool:
        return not (self._mismatches() or self.invariants.find_pending_work() or self._consumer_lag())

    def _describe_pending(self) -> str:
        return f"{self.invariants.find_pending_work()} {self._mismatches()[:5]} {self._consumer_lag()}"

    def _mismatches(self) -> list[str]:
        """Likes that differ from what was accepted."""
        stored_likes = self.invariants.read_memberships("likes")
        mismatches = [
            f"{pair}: {is_on}"
            for pair, is_on in self.accepted_likes.items()
            if stored_likes.get(pair, False) != is_on
        ]
        mismatches += [
            f"{pair} is stored but was not accepted"
            for pair in stored_likes
            if pair not in self.accepted_likes
        ]
        return mismatches

    def _consumer_lag(self) -> dict[str, int]:
        return read_consumer_lag(self._kafka_connection)

    @property
    def _kafka_connection(self) -> KafkaConnection:
        return self.services.settings.service_urls.kafka_connection
