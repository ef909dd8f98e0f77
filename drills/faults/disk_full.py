"""The disk of Redis, Kafka or PostgreSQL is full, and has room again: nothing acknowledged is lost.

On small tmpfs in a mount namespace of our own; where that is not allowed, the row says so.
"""

import os
import subprocess
from pathlib import Path

from drills.drill import EVERYTHING, NEEDS_POSTGRES, Drill, Scene
from drills.ground import Setup
from drills.ledger import WISHES

MB = 1_000_000
SIZES = {"redis": 48, "kafka": 96, "postgres": 220}


def impossible() -> str | None:
    if os.geteuid() != 0:
        return "needs root, for a mount of its own"
    done = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "mount namespaces are not allowed here"


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb") as out:
        try:
            while True:
                out.write(b"\0" * MB)
                out.flush()
        except OSError:
            return filler


def drill(service: str, promises: tuple[str, ...], may_put_off: frozenset[str]) -> Drill:
    def act(scene: Scene) -> None:
        folder = scene.rig.services.layout.folder(service)
        filler = fill(folder)
        try:
            scene.load(scene.pick(8, 20))
        finally:
            filler.unlink()
        scene.load(2)
        scene.figures["state with a full disk"] = scene.rig.services.status(service)[service].state
        scene.kill_if_running(service)
        scene.rig.services.start(service)

    return Drill(
        f"disk-full-{service}",
        f"{service}: disk full, then room again",
        promises,
        act,
        setup=Setup(tmpfs=((service, SIZES[service]),)),
        may_put_off=may_put_off,
        rest_seconds=240,
        impossible=impossible,
    )


DRILLS = (
    drill("redis", ("P1", "P7", "P11"), EVERYTHING),
    drill("kafka", ("P1", "P6", "P11"), frozenset()),
    drill("postgres", ("P1", "P8", "P11"), NEEDS_POSTGRES | set(WISHES)),
)
