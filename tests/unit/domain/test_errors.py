"""The codes of the errors that allow a failover write."""

import re
from pathlib import Path

import pytest

from app.domain.errors import RedisFailoverActive, RedisUnavailable, Rejected, define_rejection

ROOT = Path(__file__).resolve().parents[3]
CONSTANT_ERROR = re.compile(r"^(\w+ = | +)(Rejected|Poisoned|Unavailable)\(.*", re.MULTILINE)


def test_errors_that_allow_a_failover_write_have_their_own_codes() -> None:
    assert (RedisUnavailable("Timed out").code, RedisFailoverActive().code) == (
        "redis_unavailable",
        "redis_failover",
    )


def test_constant_rejection_does_not_collect_tracebacks() -> None:
    not_found = define_rejection("Not found", "not_found", 404)
    lengths = []
    for _ in range(2):
        with pytest.raises(Rejected, match="Not found") as caught:
            raise not_found
        lengths.append(len(caught.traceback))
        assert (caught.value.code, caught.value.status) == ("not_found", 404)

    assert lengths == [1, 1]


def test_no_error_is_a_constant_instance() -> None:
    """Each time such an instance is raised, its traceback keeps the frames of one more call."""
    constants = [
        match[0]
        for folder in ("app", "blueprints", "workers")
        for path in (ROOT / folder).rglob("*.py")
        for match in CONSTANT_ERROR.finditer(path.read_text())
    ]

    assert constants == []
