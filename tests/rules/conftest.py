"""The house is the stage of these tests."""

from tests.house import house, wired

__all__ = ["house", "wired"]
