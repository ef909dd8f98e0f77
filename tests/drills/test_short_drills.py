"""Drills with short times. `make test` runs some of them; `make drill` runs all, here and with full times."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import drills.drill
from drills.cluster import Cluster
from drills.drill import Drill
from drills.faults import load_drills
from drills.runner import DrillResult, run_drill

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.time_limit]
SEED = 20261126
SLACK_SECONDS = 8.0
"""A machine that builds and tests may be ten times slower than one that serves."""
IN_MAKE_TEST = ("eviction-under-load", "large-post", "popular-author", "redis-memory")
SHORT_DRILLS = [
    pytest.param(drill, id=drill.name, marks=() if drill.name in IN_MAKE_TEST else pytest.mark.drill)
    for drill in sorted(load_drills().values(), key=lambda drill: repr(drill.cluster_spec))
    if drill.in_short_run
]


class DrillClusters:
    """One cluster for all drills that can share it; a new one after a failed drill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cluster: Cluster | None = None

    def get(self, drill: Drill) -> Cluster:
        if self._cluster is None or not drill.can_run_on(self._cluster):
            self.close()
            self._cluster = drill.create_cluster(self._folder / "cluster", print).__enter__()
        return self._cluster

    def close(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            cluster.close()


@pytest.fixture(scope="module")
def drill_clusters() -> Iterator[DrillClusters]:
    with tempfile.TemporaryDirectory(prefix="chime-drill-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # as root, PostgreSQL runs as another user
        clusters = DrillClusters(Path(folder))
        yield clusters
        clusters.close()


def format_violations(result: DrillResult) -> str:
    return "\n".join(
        f"{name}: {violation}" for name, violations in result.violations.items() for violation in violations
    )


@pytest.mark.parametrize("drill", SHORT_DRILLS)
def test_short_drill_passes(
    drill_clusters: DrillClusters, drill: Drill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drills.drill, "TIME_LIMIT_SLACK_SECONDS", SLACK_SECONDS)

    result = run_drill(drill, drill_clusters.get(drill), SEED, True, print)

    if not result.passed:
        drill_clusters.close()
    assert result.passed, format_violations(result)
