"""One file per fault: each has DRILLS, found here by looking into this folder."""

import importlib
import pkgutil
from dataclasses import astuple

from drills.drill import Drill


def everything() -> dict[str, Drill]:
    """By name, in the order of the files; drills that need the same rig next to each other."""
    found: list[Drill] = []
    for module in sorted(one.name for one in pkgutil.iter_modules(__path__)):
        found += importlib.import_module(f"{__name__}.{module}").DRILLS
    found.sort(key=lambda one: astuple(one.setup))
    named = {one.name: one for one in found}
    if len(named) != len(found):
        raise RuntimeError("two drills have the same name")
    return named
