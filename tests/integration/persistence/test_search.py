"""Search for users: matches, their order, and the use of the index."""

import json
import random
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, text

from app.bootstrap import new_id
from app.domain.text import user_search_key
from app.social import user_search
from app.social.users import NewUser, Users

pytestmark = pytest.mark.service

SYLLABLES = "an be ca do el fa go ha in jo ka lu ma ni or pe ra tu ur ve wi xa yo zu mar gar"
COMMON_NAMES = "Tom Tomas Tommy Thomas Maria Margot Sonja Johnson Anderson Olson Wilson Weber"


def insert_named_users(engine: Engine, *names: tuple[str, str]) -> None:
    for username, name in names:
        Users(engine).create(NewUser(new_id(), f"{username}@example.org", username, name, ""))


def search_usernames(engine: Engine, query: str, limit: int = 20) -> list[str]:
    return [user.username for user in Users(engine).search(query, limit)]


def insert_random_users(engine: Engine, size: int) -> None:
    random_source, syllables = random.Random(7), SYLLABLES.split()
    words = [
        "".join(random_source.choices(syllables, k=random_source.choice((2, 3)))).title() for _ in range(2000)
    ]
    words += COMMON_NAMES.split() * 20
    names = [" ".join(random_source.choices(words, k=2)) for _ in range(size)]
    rows = [
        {
            "id": new_id(),
            "username": f"user_{i}",
            "name": name,
            "key": user_search_key(f"user_{i}", name),
        }
        for i, name in enumerate(names)
    ]
    statement = text(
        "insert into users (id, email, username, name, search_key) "
        "select n.id, n.username || '@x.org', n.username, n.name, n.key from jsonb_to_recordset("
        "cast(:rows as jsonb)) as n (id uuid, username text, name text, key text)"
    )
    with engine.begin() as conn:
        conn.execute(statement, {"rows": json.dumps(rows)})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum analyze users"))


@pytest.mark.parametrize(
    ("name", "query"),
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
def test_search_finds_name_written_in_another_form_of_the_same_text(
    engine: Engine, name: str, query: str
) -> None:
    insert_named_users(engine, ("someone", name), ("else", "Quite Different"))
    assert search_usernames(engine, query) == ["someone"]


@pytest.mark.parametrize(
    ("name", "query"),
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
def test_misspelt_search_finds_the_name_among_ten_thousand(engine: Engine, name: str, query: str) -> None:
    insert_random_users(engine, 10_000)
    insert_named_users(engine, ("someone", name))
    assert "someone" in search_usernames(engine, query)


@pytest.mark.parametrize("query", ["Margret", "Tomson", "ann", "zz", "%", "\u00b4", "@"])
def test_search_without_match_finds_nobody(engine: Engine, query: str) -> None:
    insert_named_users(engine, ("bob", "Robert Ford"), ("tomas", "Tomas Nelson"), ("andreas", "Andreas Marc"))
    assert search_usernames(engine, query) == []


def test_search_ranks_exact_before_prefix_before_part_before_similar(engine: Engine) -> None:
    insert_named_users(
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
    assert search_usernames(engine, "joanna") == expected
    assert search_usernames(engine, "JOANNA", 3) == expected[:3]
    pages = [Users(engine).search("joanna", 2, offset) for offset in range(0, 8, 2)]
    assert [user.username for page in pages for user in page] == expected


def test_renamed_user_is_found_by_the_new_name_only(engine: Engine) -> None:
    user = Users(engine).create(NewUser(new_id(), "a@example.org", "someone", "Weiß", ""))
    Users(engine).update_profile(user.id, "Ångström", None, None)
    Users(engine).update_profile(user.id, None, "a bio", None)
    assert (search_usernames(engine, "angstrom"), search_usernames(engine, "weiss")) == (["someone"], [])


def test_name_that_folds_to_many_letters_does_not_break_search(engine: Engine) -> None:
    insert_named_users(engine, ("long_one", "ﷺ" * 50), ("margaret", "Margaret"))
    assert search_usernames(engine, "margret") == ["margaret"]
    assert search_usernames(engine, "ﷺ" * 50) == ["long_one"]


@pytest.mark.parametrize("query", ["tomson", "margret", "johnson", "an", "weber olson", "小明"])
def test_search_among_ten_thousand_uses_the_index(engine: Engine, query: str) -> None:
    insert_random_users(engine, 10_000)
    params = user_search._search_params(query) | {"row_limit": 21}
    threshold = str(user_search.MIN_FALLBACK_SIMILARITY)
    with engine.connect() as conn:
        conn.execute(user_search._DISABLE_SEQSCAN)
        conn.execute(user_search._SET_SIMILARITY_THRESHOLD, {"threshold": threshold})
        for statement in (user_search._SEARCH_EXACT, user_search._SEARCH_SIMILAR):
            plan = conn.execute(text(f"explain (format json) {statement.text}"), params).scalar_one()
            nodes = plan_nodes(plan[0]["Plan"])
            scans = [node["Node Type"] for node in nodes if node.get("Relation Name") == "users"]
            assert scans == ["Bitmap Heap Scan"]


def plan_nodes(plan: dict[str, object]) -> Sequence[dict[str, object]]:
    child_plans = plan.get("Plans", [])
    assert isinstance(child_plans, list)
    return [plan, *(node for child_plan in child_plans for node in plan_nodes(child_plan))]
