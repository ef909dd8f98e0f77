"""ProcessGroup: workers started by their Procfile commands, here without any service."""

from pathlib import Path

import redis

from harness.waiting import wait_until
from tests.support.processes import START_TIMEOUT_SECONDS, ProcessGroup

UNREACHABLE = {
    "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:1",
}


def test_two_workers_of_a_name_have_their_own_logs_and_stop_gracefully(tmp_path: Path) -> None:
    group = ProcessGroup(UNREACHABLE | {"DATA_DIR": str(tmp_path)}, tmp_path, redis.Redis(port=1))
    try:
        first, second = group.start_named("bridge"), group.start_extra("bridge", LOG_LEVEL="debug")
        for worker in (first, second):
            wait_until(
                lambda log_path=worker.log_path: "Outage begins" in log_path.read_text(),  # type: ignore[misc]
                f"an outage in {worker.log_path}",
                START_TIMEOUT_SECONDS,
            )

        assert (first.log_path.name, second.log_path.name) == ("000-bridge.log", "001-bridge.log")
        assert group.process_by_name == {"bridge": first}
        second.stop_gracefully()
        assert (second.exit_code, first.is_running) == (0, True)
    finally:
        group.stop_all()

    assert not first.is_running
