"""The list of worker loops."""

from app.domain.worker_loops import (
    loops_of_process,
    process_of_loop_or_stage,
)


def test_loops_of_a_process() -> None:
    assert [loop.name for loop in loops_of_process("bridge")] == ["bridge"]
    assert loops_of_process("web") == ()


def test_process_of_a_loop_of_a_stage_and_of_anything_else() -> None:
    assert process_of_loop_or_stage("quiet-hours") == "flusher"
    assert process_of_loop_or_stage("mail") == "deliverer"
    assert process_of_loop_or_stage("web") == "web"
