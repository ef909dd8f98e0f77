"""The deliberate bugs: each still finds the passage that it spoils, and Python that it leaves."""

import ast
import shutil
from pathlib import Path

import pytest

from drills.bugs import MUTANTS, Mutant
from drills.faults import everything
from tests.conftest import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_bug_fits(mutant: Mutant, tmp_path: Path) -> None:
    for path in {edit.path for edit in mutant.edits}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)

    mutant.put_into(tmp_path)

    for path in {edit.path for edit in mutant.edits}:
        spoiled = (tmp_path / path).read_text()
        assert spoiled != (ROOT / path).read_text()
        if path.endswith(".py"):
            ast.parse(spoiled)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_what_must_notice_it_exists(mutant: Mutant) -> None:
    for one in mutant.caught_by:
        assert (ROOT / one).exists() or one in everything()
