"""A request log and a final state without violations, for the tests of the checker."""

from app.devtools.checker.request_log import (
    ACKNOWLEDGED,
    ReceivedClientEvent,
    RequestAttempt,
    RequestLog,
    RoomJoin,
)
from drills.checker import CheckLimits, CheckReport, check_run
from drills.final_state import FinalState

LIMITS = CheckLimits(max_response_seconds=2.0, max_critical_p99_seconds=1.0)
OTP_NOTIFICATION_ID = "otp-notification"


class ConsistentRun:
    """A request log and a final state that agree until a test changes one of them.

    Ben likes and comments, Ann removes likes, requests five codes and listens on a socket.
    """

    def __init__(self) -> None:
        self.log = RequestLog()
        self.state = FinalState()
        self.limits = LIMITS
        self._clock = 2.0
        self._add_otp_requests()
        for n in range(5):
            self.add_request("like", "ben", f"p{n}", count=1, active=True)
            self.add_request("unlike", "ann", f"p{n}", count=1, active=False)
            self.add_request("read", "ben", f"p{n}", count=1, active=True, comments=0)
            self.add_request("comment", "ben", f"p{n} mark-{n}")
        self.state.memberships_by_table = {
            "likes": {(f"p{n}", "ben"): True for n in range(5)},
            "follows": {},
        }
        self.state.comment_texts = [f"mark-{n}" for n in range(5)]
        self.state.row_counts_by_post = {f"p{n}": (1, 1) for n in range(5)}
        self.state.api_counts_by_server = [dict(self.state.row_counts_by_post) for _ in range(2)]
        self.state.pipeline_stages = [{"name": "bridge", "in": 5, "out": 4, "held": 0, "failed": 1}]
        self.state.memory_samples_mb = {"web": [100.0, 120.0]}

    def _add_otp_requests(self) -> None:
        for n in range(5):
            sent_at = 1.0 + n * 0.05
            self.log.attempts.append(
                RequestAttempt(
                    -n - 1,
                    1,
                    "otp",
                    "ann",
                    "ann",
                    sent_at,
                    outcome=ACKNOWLEDGED,
                    answered_at=sent_at + 0.01,
                    status=200,
                )
            )
            otp_ids = (f"{OTP_NOTIFICATION_ID}-{n}", uuid7_at(1000 + n * 50))
            self.state.otp_ids_by_user.setdefault("ann", []).append(otp_ids)
            self.add_client_event(n + 1, notification_id=otp_ids[0], received_at=sent_at + 0.2)
        self.log.joins.append(RoomJoin("ann", 0.5, "epoch", 0, False, True))
        self.state.last_client_seq_by_user = {"ann": 5}
        self.state.sent_client_events = {("ann", n) for n in range(1, 6)}
        self.state.logged_client_events = set(self.state.sent_client_events)

    def add_client_event(
        self,
        client_seq: int | None,
        notification_id: str | None = "other-notification",
        version: int = 1,
        event_name: str = "notification",
        received_at: float = 1.0,
    ) -> None:
        self.log.client_events.append(
            ReceivedClientEvent(
                "ann", received_at, event_name, notification_id, client_seq, version, "OTP", is_live=True
            )
        )

    def add_request(
        self,
        request_kind: str,
        actor_id: str,
        object_id: str,
        outcome: str = ACKNOWLEDGED,
        status: int = 200,
        **response_fields: object,
    ) -> RequestAttempt:
        self._clock += 0.1
        attempt = RequestAttempt(
            len(self.log.attempts) + 100,
            1,
            request_kind,
            actor_id,
            object_id,
            self._clock,
            outcome=outcome,
            answered_at=self._clock + 0.05,
            status=status,
            response_fields=dict(response_fields),
        )
        self.log.attempts.append(attempt)
        return attempt

    def check(self) -> CheckReport:
        return check_run(self.log, self.state, self.limits)


def uuid7_at(unix_ms: int) -> str:
    digits = f"{unix_ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"
