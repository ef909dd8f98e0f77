"""Each deliberate bug still finds its passage in the source and leaves valid Python."""

import ast
import shutil
from pathlib import Path

import pytest

from drills.faults import load_drills
from drills.mutation import Mutation
from drills.mutations import MUTATIONS
from tests.conftest import ROOT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_applies_to_the_source(mutation: Mutation, tmp_path: Path) -> None:
    for source in ROOT.glob(mutation.edit.path_pattern):
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)

    mutated = mutation.edit.apply(tmp_path)

    assert mutated.read_text() != (ROOT / mutated.relative_to(tmp_path)).read_text()
    if mutated.suffix == ".py":
        ast.parse(mutated.read_text())


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_test_that_must_fail_under_a_mutation_exists(mutation: Mutation) -> None:
    for detector in mutation.detected_by:
        assert (ROOT / detector).exists() or detector in load_drills()
