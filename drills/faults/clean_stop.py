"""Each process is asked to stop under load, one after the other, and started again: nobody notices.

Each request opens a connection of its own, so one that is cut had been accepted before the stop.
"""

from drills.drill import Drill, Scene
from drills.processes import Process

STOP_SECONDS = 10.0


def act(scene: Scene) -> None:
    for _ in range(int(scene.pick(1, 2))):
        for one in scene.rig.processes:
            _restart(scene, one)
            scene.load(scene.pick(2, 4))
    scene.rig.await_processes()


def _restart(scene: Scene, one: Process) -> None:
    one.attended = False
    took = one.stop(STOP_SECONDS + 5)
    code = one.handle.poll() if one.handle else None
    scene.figures[f"{one.name} stopped in"] = round(took, 2)
    if took > STOP_SECONDS or code != 0:
        scene.complaints.append(f"{one.name} took {took:.1f} s to stop and ended with {code}")
    one.start()
    one.attended = True
    scene.rig.await_processes()


DRILLS = (
    Drill(
        "clean-stop", "every process: SIGTERM in turn", ("P13", "P1", "P3"), act, True,
        behaviour=(("keep_alive", False),),
    ),
)  # fmt: skip
