"""How long loops rest after a step."""

import pytest

from workers import delays


@pytest.mark.parametrize(("moved_count", "expected_rests"), [(0, []), (99, []), (100, [1.0]), (1_000, [1.0])])
def test_loop_rests_in_proportion_after_a_step_that_moved_much(
    moved_count: int, expected_rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([10.0, 12.0])
    monkeypatch.setattr("workers.delays.time.monotonic", lambda: next(times))
    rests: list[float] = []

    assert delays.step_then_rest(lambda: moved_count, 0.5, 100, rests.append) == moved_count

    assert rests == expected_rests
