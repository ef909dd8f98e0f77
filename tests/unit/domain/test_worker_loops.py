"""The list of worker loops, and their heartbeats."""

from app.domain.worker_loops import (
    WORKER_LOOPS,
    heartbeat_ages_by_pid,
    loops_of_process,
    loops_without_recent_heartbeat,
    process_of_loop_or_stage,
)


def test_loops_of_a_process() -> None:
    assert [loop.name for loop in loops_of_process("bridge")] == ["bridge"]
    assert loops_of_process("web") == ()


def test_process_of_a_loop_of_a_stage_and_of_anything_else() -> None:
    assert process_of_loop_or_stage("quiet-hours") == "flusher"
    assert process_of_loop_or_stage("mail") == "deliverer"
    assert process_of_loop_or_stage("web") == "web"


def test_heartbeat_ages_are_those_of_the_loop_by_process_id() -> None:
    ages = {"relay:7": 1.0, "relay:8": 2.0, "delivery-log:9": 3.0}

    assert heartbeat_ages_by_pid(WORKER_LOOPS["relay"], ages) == {"7": 1.0, "8": 2.0}


def test_loop_without_a_recent_heartbeat_of_any_process_is_reported() -> None:
    ages = {f"{name}:1": 1.0 for name in WORKER_LOOPS if name != "relay"}
    ages |= {"flusher:1": 99.0, "mailer:1": 99.0, "mailer:2": 1.0}

    assert [loop.name for loop in loops_without_recent_heartbeat(ages, 10.0)] == ["flusher", "relay"]
