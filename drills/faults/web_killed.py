"""A web process is killed, or frozen: the other one serves, sockets come back by themselves."""

from drills.drill import EVERYTHING, Drill, Scene

PROMISES = ("P1", "P2", "P3", "P4")


def killed(scene: Scene) -> None:
    for name in ("web-1", "web-2", "web-1"):
        scene.process(name).kill()
        scene.load(scene.pick(5, 8))


def frozen(scene: Scene) -> None:
    one = scene.process("web-1")
    one.freeze()
    try:
        scene.load(scene.pick(3, 8))
    finally:
        one.thaw()


DRILLS = (
    Drill(
        "web-killed", "a web process: SIGKILL, three times", PROMISES, killed, True,
        may_cut=True,
    ),
    # Who had asked it when it froze waits for it.
    Drill(
        "web-frozen", "a web process: SIGSTOP", PROMISES, frozen, may_cut=True,
        may_put_off=EVERYTHING, longest=11.0, critical=16.0,
    ),
)  # fmt: skip
