"""Each worker is killed three times at moments that are drawn."""

from drills.drill import Drill, Scene, for_each_worker


def drill(name: str) -> Drill:
    def act(scene: Scene) -> None:
        for _ in range(3):
            scene.process(name).kill()
            scene.load(scene.pick(3, 6))
            scene.until(lambda: scene.process(name).alive, f"{name} is back")

    return Drill(
        f"{name}-killed",
        f"{name}: SIGKILL three times",
        ("P1", "P2", "P3"),
        act,
    )


DRILLS = for_each_worker(drill)
