"""Each worker is frozen past its lease, another takes over; then it wakes and must do no harm."""

from drills.drill import Drill, Scene, for_each_worker

PAST_LEASES = {"bridge": 8.0, "aggregator": 14.0, "flusher": 33.0, "deliverer": 14.0}


def drill(name: str) -> Drill:
    def act(scene: Scene) -> None:
        second = scene.rig.add(name)
        scene.load(4)
        first = scene.process(name)
        first.freeze()
        try:
            scene.load(PAST_LEASES[name])
        finally:
            first.thaw()
        scene.load(scene.pick(3, 8))
        scene.rig.remove(second)

    return Drill(
        f"{name}-frozen",
        f"{name}: SIGSTOP past its lease, beside a second one",
        ("P2", "P3"),
        act,
        short=name == "bridge",
        rest_seconds=200,
    )


DRILLS = for_each_worker(drill)
