"""One module per kind of fault; each defines DRILLS."""

import importlib
import pkgutil
from dataclasses import astuple

from drills.drill import Drill


def load_drills() -> dict[str, Drill]:
    """Drills by name. Those that can share a cluster are next to each other."""
    drills: list[Drill] = []
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        drills += importlib.import_module(f"{__name__}.{module}").DRILLS
    drills.sort(key=lambda drill: astuple(drill.cluster_spec))
    drills_by_name = {drill.name: drill for drill in drills}
    if len(drills_by_name) != len(drills):
        raise RuntimeError("two drills have the same name")
    return drills_by_name
