"""Search for people: what finds whom, in which order, by an index."""

import json
import random
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, text

from app.domain.text import search_key
from app.stores import users
from app.stores.users import NewUser, Users
from app.wiring import new_id

pytestmark = pytest.mark.service

SYLLABLES = "an be ca do el fa go ha in jo ka lu ma ni or pe ra tu ur ve wi xa yo zu mar gar"
COMMON = "Tom Tomas Tommy Thomas Maria Margot Sonja Johnson Anderson Olson Wilson Weber"


def add(engine: Engine, *people: tuple[str, str]) -> None:
    for username, name in people:
        Users(engine).create(NewUser(new_id(), f"{username}@example.org", username, name, ""))


def found(engine: Engine, words: str, limit: int = 20) -> list[str]:
    return [one.username for one in Users(engine).search(words, limit)]


def crowd(engine: Engine, size: int) -> None:
    dice, syllables = random.Random(7), SYLLABLES.split()
    words = ["".join(dice.choices(syllables, k=dice.choice((2, 3)))).title() for _ in range(2000)]
    words += COMMON.split() * 20
    names = [" ".join(dice.choices(words, k=2)) for _ in range(size)]
    rows = [
        {
            "id": new_id(),
            "username": f"user_{i}",
            "name": name,
            "key": search_key(f"user_{i}", name),
        }
        for i, name in enumerate(names)
    ]
    statement = text(
        "insert into users (id, email, username, name, search_key) "
        "select n.id, n.username || '@x.org', n.username, n.name, n.key from jsonb_to_recordset("
        "cast(:rows as jsonb)) as n (id uuid, username text, name text, key text)"
    )
    with engine.begin() as sql:
        sql.execute(statement, {"rows": json.dumps(rows)})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as sql:
        sql.execute(text("vacuum analyze users"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ångström", "angstrom"),
        ("Ångström", "A\u030angstro\u0308m"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("Weiß", "weiss"),
        ("Weiß", "WEISS"),
        ("Weiss", "weiß"),
        ("İpek", "İPEK"),
        ("İpek", "ipek"),
        ("I\u015f\u0131k", "ISIK"),
        ("Łukasz Żółć", "lukasz zolc"),
        ("Søren Đặng", "soren dang"),
        ("O\u2019Neil", "o'neil"),
        ("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", "\u0639\u0644\u06cc\u0631\u0636\u0627"),
        ("\uff21\uff4e\uff4e", "ann"),
        ("王小明", "小明"),
        ("김하늘", "하늘"),
        ("Ёлкин", "елкин"),
        ("Ann", "@someone"),
    ],
)
def test_names_and_searches_of_the_same_text_find_each_other(
    engine: Engine, name: str, words: str
) -> None:
    add(engine, ("someone", name), ("else", "Quite Different"))
    assert found(engine, words) == ["someone"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Margaret", "Margret"),
        ("Emma Thompson", "Tomson"),
        ("lvytonhum", "lvytnhum"),
        ("Margaret Thompson", "Tomson Margret"),
        ("Ångström", "angstorm"),
        ("Weiß", "weihs"),
        ("Christina", "Kristina"),
    ],
)
def test_a_misspelt_search_finds_the_name_among_ten_thousand(
    engine: Engine, name: str, words: str
) -> None:
    crowd(engine, 10_000)
    add(engine, ("someone", name))
    assert "someone" in found(engine, words)


@pytest.mark.parametrize("words", ["Margret", "Tomson", "ann", "zz", "%", "\u00b4", "@"])
def test_a_search_for_what_nobody_is_called_finds_nobody(engine: Engine, words: str) -> None:
    add(engine, ("bob", "Robert Ford"), ("tomas", "Tomas Nelson"), ("andreas", "Andreas Marc"))
    assert found(engine, words) == []


def test_exact_comes_before_prefix_before_part_before_similar(engine: Engine) -> None:
    add(
        engine,
        ("joanne", "Similar"),
        ("bjoanna", "Part"),
        ("kim", "Bo Joannas"),
        ("lee", "Joannas Bo"),
        ("joanna_x", "Prefix"),
        ("max", "Joanna"),
        ("joanna", "Exact"),
    )
    expected = ["joanna", "max", "joanna_x", "lee", "kim", "bjoanna", "joanne"]
    assert found(engine, "joanna") == expected
    assert found(engine, "JOANNA", 3) == expected[:3]
    paged = [Users(engine).search("joanna", 2, start) for start in range(0, 8, 2)]
    assert [one.username for page in paged for one in page] == expected


def test_a_rename_is_found_by_the_new_name_only(engine: Engine) -> None:
    user = Users(engine).create(NewUser(new_id(), "a@example.org", "someone", "Weiß", ""))
    Users(engine).change(user.id, "Ångström", None, None)
    Users(engine).change(user.id, None, "a bio", None)
    assert (found(engine, "angstrom"), found(engine, "weiss")) == (["someone"], [])


def test_a_name_that_folds_to_many_letters_breaks_no_search(engine: Engine) -> None:
    add(engine, ("long_one", "ﷺ" * 50), ("margaret", "Margaret"))
    assert found(engine, "margret") == ["margaret"]
    assert found(engine, "ﷺ" * 50) == ["long_one"]


@pytest.mark.parametrize("words", ["tomson", "margret", "johnson", "an", "weber olson", "小明"])
def test_a_search_among_ten_thousand_reads_the_index(engine: Engine, words: str) -> None:
    crowd(engine, 10_000)
    values = users._search_values(words) | {"wanted": 21}
    with engine.connect() as sql:
        sql.execute(users._BY_INDEX)
        sql.execute(users._SIMILARITY, {"least": str(users.FAINT)})
        for statement in (users._MATCHING, users._SIMILAR):
            plan = sql.execute(text(f"explain (format json) {statement.text}"), values).scalar_one()
            found = nodes(plan[0]["Plan"])
            scans = [one["Node Type"] for one in found if one.get("Relation Name") == "users"]
            assert scans == ["Bitmap Heap Scan"]


def nodes(plan: dict[str, object]) -> Sequence[dict[str, object]]:
    inner = plan.get("Plans", [])
    assert isinstance(inner, list)
    return [plan, *(node for one in inner for node in nodes(one))]
