"""A web process is killed or frozen: the other one serves requests, sockets reconnect."""

from drills.drill import ALL_REQUEST_KINDS, Drill, Scenario

GUARANTEE_IDS = ("P1", "P2", "P3", "P4")


def kill_web_processes(scenario: Scenario) -> None:
    for name in ("web-1", "web-2", "web-1"):
        scenario.get_process(name).kill()
        scenario.run_load(scenario.pick_short_or_full(5, 8))


def freeze_web_process(scenario: Scenario) -> None:
    scenario.freeze_process("web-1", scenario.pick_short_or_full(3, 8))


DRILLS = (
    Drill(
        "web-killed", "a web process: SIGKILL, three times", GUARANTEE_IDS, kill_web_processes, True,
        may_drop_connections=True,
    ),
    # Requests that it had accepted wait until it resumes.
    Drill(
        "web-frozen", "a web process: SIGSTOP", GUARANTEE_IDS, freeze_web_process, may_drop_connections=True,
        retry_later_kinds=ALL_REQUEST_KINDS, max_response_seconds=11.0, max_critical_p99_seconds=16.0,
    ),
)  # fmt: skip
