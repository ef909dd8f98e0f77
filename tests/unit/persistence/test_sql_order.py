"""In `select id::text ... order by id limit 10` PostgreSQL sorts the texts of all rows: `id` is the selected
column. `order by users.id` reads ten entries of the index."""

import re
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[3] / "app"
_STRING_JOINT = re.compile(r'"\s*(#[^\n]*)?\n\s*f?"')
_WITHIN_SELECT = r"(?:(?!\bselect\b).)"
_SORT_OF_TEXT = re.compile(
    rf"\b(\w+)::text(?! as\b){_WITHIN_SELECT}*?"
    rf"\border by (?:[\w.]+(?: desc)?, )*\1\b{_WITHIN_SELECT}{{0,40}}?\blimit\b"
)


def find_sorts_of_text(source: str) -> list[str]:
    """Statements in Python source that sort a column that is selected as text under the same name."""
    joined = " ".join(_STRING_JOINT.sub(" ", source).split())
    return [match.group(0) for match in _SORT_OF_TEXT.finditer(joined)]


def test_no_limited_statement_sorts_ids_as_text() -> None:
    assert {
        str(path): found for path in APP.rglob("*.py") if (found := find_sorts_of_text(path.read_text()))
    } == {}


@pytest.mark.parametrize(
    ("statement", "is_found"),
    [
        ('"select id::text from users where id > :last order by id limit :page"', True),
        (
            '"select id::text, name from users "  # noqa\n    "order by created_at desc, id desc limit 5"',
            True,
        ),
        ('"select id::text from users order by users.id limit 5"', False),
        ('"select id::text as user_id from users order by id limit 5"', False),
        ('"select id::text from users order by name limit 5"', False),
    ],
)
def test_sorts_of_text_are_found(statement: str, is_found: bool) -> None:
    assert bool(find_sorts_of_text(statement)) is is_found
