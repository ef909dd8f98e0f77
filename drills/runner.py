"""Runs one drill on a cluster: load, fault, quiescence, checks. Returns a DrillResult."""

import json
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from app.devtools.checker.request_log import REQUEST_LOG_NAME, RequestLog, read_request_log
from app.devtools.checker.write_checks import count_outcomes
from drills import read_checks, socket_checks
from drills.checker import CheckLimits, CheckReport, check_run
from drills.cluster import Cluster
from drills.drill import Drill, Scenario
from drills.final_state import FinalState, read_dead_letters, read_final_state
from drills.fixtures import LoadProfile, create_fixtures, write_load_config
from drills.process_client import LoadGeneratorProcess, MemorySampler
from drills.quiescence import wait_until_quiescent

LOAD_BEFORE_FAULT_SECONDS, LOAD_AFTER_FAULT_SECONDS = 4.0, 4.0


@dataclass
class DrillResult:
    """One row of the report."""

    drill_name: str
    fault_description: str
    guarantee_ids: tuple[str, ...]
    seed: int
    outcome: str = "holds"
    acknowledged_count: int = 0
    refused_count: int = 0
    unknown_count: int = 0
    lost_count: int = 0
    unexpected_count: int = 0
    max_response_seconds: float = 0.0
    max_response_seconds_allowed: float = 0.0
    otp_p99_seconds: float = 0.0
    delivered_otp_count: int = 0
    drain_seconds: float = 0.0
    duration_seconds: float = 0.0
    timer_delay_seconds: float = 0.0
    max_memory_mb: dict[str, float] = field(default_factory=dict)
    measurements: dict[str, Any] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return self.outcome != "BROKEN"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def run_drill(
    drill: Drill,
    cluster: Cluster | None,
    seed: int,
    short_run: bool,
    print_progress: Callable[[str], None],
) -> DrillResult:
    """Never raises: an exception is reported in the result. `cluster` is None if the drill is unsupported."""
    result = DrillResult(drill.name, drill.fault_description, drill.guarantee_ids, seed)
    started_at = time.monotonic()
    if reason := drill.unsupported_reason():
        result.outcome = f"unsupported here: {reason}"
        return result
    assert cluster is not None
    try:
        _run_scenario(drill, cluster, result, short_run, print_progress)
    except Exception as exc:  # the other drills must still run
        result.outcome = "BROKEN"
        result.violations["exception"] = [f"{type(exc).__name__}: {exc}"]
        cluster.undo_faults()
    result.duration_seconds = time.monotonic() - started_at
    if not result.passed:
        _save_failure(cluster, result)
    return result


def _save_failure(cluster: Cluster, result: DrillResult) -> None:
    """Copies the logs of a failed drill: the next cluster deletes its folder."""
    folder = cluster.folder.parent / "broken" / result.drill_name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(cluster.folder / result.drill_name, folder)
    shutil.copytree(cluster.folder / "logs", folder / "logs")
    (folder / "result.json").write_text(json.dumps(result.to_dict(), indent=1, default=str))


def _run_scenario(
    drill: Drill,
    cluster: Cluster,
    result: DrillResult,
    short_run: bool,
    print_progress: Callable[[str], None],
) -> None:
    rng = random.Random(f"{result.seed}:{drill.name}")
    fixtures = create_fixtures(cluster.engine)
    folder = cluster.folder / drill.name
    folder.mkdir(exist_ok=True)
    request_log_path = folder / REQUEST_LOG_NAME
    request_log_path.unlink(missing_ok=True)
    load_profile = LoadProfile(seed=result.seed, **dict(drill.load_profile))
    write_load_config(folder / "load.json", fixtures, load_profile, cluster.web_ports, request_log_path)
    scenario = Scenario(cluster, fixtures, rng, short_run, print_progress, drill.name)
    scenario.expected_dead_letters |= read_dead_letters(cluster)  # of earlier drills
    memory_sampler = MemorySampler(cluster)
    load_generator = LoadGeneratorProcess(folder / "load.json")
    try:
        scenario.run_load(LOAD_BEFORE_FAULT_SECONDS)
        drill.inject_fault(scenario)
        fault_ended_at = time.monotonic()
        scenario.run_load(LOAD_AFTER_FAULT_SECONDS)
        load_generator.stop_requests()
        if pending := wait_until_quiescent(
            cluster,
            fixtures,
            request_log_path,
            drill.max_quiescence_seconds,
            drill.max_lost_writes(scenario),
            scenario.unawaited_loops,
        ):
            result.violations["quiescence"] = [f"not within {drill.max_quiescence_seconds:.0f} s: {pending}"]
        result.drain_seconds = time.monotonic() - fault_ended_at
    finally:
        memory_sampler.close()
        load_generator.close()
    log = read_request_log(request_log_path)
    state = read_final_state(cluster, fixtures, memory_sampler.samples_mb)
    limits = drill.build_check_limits(scenario, log.max_timer_delay_seconds)
    _fill_result(result, scenario, log, state, check_run(log, state, limits), limits)
    if result.violations:
        result.outcome = "BROKEN"


def _fill_result(
    result: DrillResult,
    scenario: Scenario,
    log: RequestLog,
    state: FinalState,
    report: CheckReport,
    limits: CheckLimits,
) -> None:
    outcome_counts = count_outcomes(log)
    result.acknowledged_count, result.refused_count = (
        outcome_counts["acknowledged"],
        outcome_counts["refused"],
    )
    result.unknown_count = outcome_counts["unknown"]
    result.lost_count, result.unexpected_count = len(report.lost), len(report.unexpected)
    latencies = [attempt.latency_seconds for attempt in log.attempts if attempt.answered_at]
    result.max_response_seconds, result.max_response_seconds_allowed = (
        max(latencies, default=0.0),
        limits.max_response_seconds,
    )
    otp_delays = [delay for delay in socket_checks.measure_otp_delivery(log, state) if delay is not None]
    result.otp_p99_seconds, result.delivered_otp_count = (
        socket_checks.p99(otp_delays),
        len(otp_delays),
    )
    result.timer_delay_seconds = log.max_timer_delay_seconds
    result.max_memory_mb = {
        name: max(samples) for name, samples in state.memory_samples_mb.items() if samples
    }
    result.measurements = scenario.measurements
    if scenario.redis_recovery_times:
        recovery_seconds = socket_checks.measure_push_recovery(log, scenario.redis_recovery_times[-1])
        result.measurements["live push restored after s"] = recovery_seconds and round(recovery_seconds, 2)
        result.measurements["last stale response after s"] = round(
            read_checks.measure_recovery(log, scenario.redis_recovery_times[-1]), 2
        )
    result.violations |= report.violations
    if len(report.lost) > limits.max_lost_writes:
        result.violations["lost"] = report.lost
    if report.unexpected:
        result.violations["unexpected"] = report.unexpected
    if scenario.violations:
        result.violations["drill"] = scenario.violations
    # The report has the counts; a few examples are enough.
    result.violations = {name: violations[:20] for name, violations in result.violations.items()}
