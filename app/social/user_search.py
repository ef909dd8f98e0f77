"""Searches users by user name and name: exact matches, prefixes, substrings, then similar names.

In: the text that a user typed. Out: rows of the table users, best match first. Case, accents and similar
differences are ignored (app/domain/text.py, fold_for_search).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from app.domain.text import fold_for_search

UserRow = Row[*tuple[Any, ...]]
"""(id, username, name, avatar_url)"""
MIN_SIMILARITY, MIN_FALLBACK_SIMILARITY = 0.45, 0.25
"""Word similarities (pg_trgm) from which names are compared by edit distance. The second is for searches that
find nothing else. Margret and Margaret have 0.55, Tomson and Thompson 0.29."""
MAX_SEARCH_LENGTH = 100
"""Characters of the folded search text that are compared."""
MAX_SIMILARITY_CANDIDATES, MAX_COMPARED_NAMES, MAX_SIMILAR_RESULTS = 10_000, 2_000, 50
"""Names that are similar by trigrams; those compared by edit distance; those returned."""
MAX_SIMILARITY_QUERY_WORDS = 4


def normalize_search_query(query: str) -> str:
    """The text that is compared with names; may be empty."""
    return fold_for_search(query).removeprefix("@")[:MAX_SEARCH_LENGTH].strip()


def search_users(conn: Connection, normalized_query: str, limit: int, offset: int) -> Sequence[UserRow]:
    """At most `limit` users. Changes settings of the current transaction."""
    row_limit = offset + limit
    params = _search_params(normalized_query) | {"row_limit": row_limit}
    conn.execute(_DISABLE_SEQSCAN)
    rows: Sequence[UserRow] = conn.execute(_SEARCH_EXACT, params).all()
    if len(rows) < row_limit and normalized_query.count(" ") < MAX_SIMILARITY_QUERY_WORDS:
        rows = [*rows, *_find_similar_users(conn, params)] or _find_similar_users(
            conn, params, MIN_FALLBACK_SIMILARITY
        )
    return rows[offset:row_limit]


def _search_params(normalized_query: str) -> dict[str, object]:
    escaped_query = normalized_query.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    # Two Latin letters occur in most names, and no index finds them. Two Han characters are a given name.
    matches_anywhere = len(normalized_query) > 2 or not normalized_query.isascii()
    return {
        "query": normalized_query,
        "pattern": f"%{escaped_query}%" if matches_anywhere else f"% {escaped_query}%",
        "max_candidates": MAX_SIMILARITY_CANDIDATES,
        "max_compared": MAX_COMPARED_NAMES,
        "max_similar": MAX_SIMILAR_RESULTS,
    }


def _find_similar_users(
    conn: Connection, params: dict[str, object], min_similarity: float = MIN_SIMILARITY
) -> Sequence[UserRow]:
    conn.execute(_SET_SIMILARITY_THRESHOLD, {"threshold": str(min_similarity)})
    return conn.execute(_SEARCH_SIMILAR, params).all()


# For the transaction of the search: the planner underestimates the cost of comparing trigrams and would scan
# all users instead of the index.
_DISABLE_SEQSCAN = text("set local enable_seqscan = off")
_SET_SIMILARITY_THRESHOLD = text("select set_config('pg_trgm.word_similarity_threshold', :threshold, true)")
_SEARCH_EXACT = text("""
    select id::text, username, name, avatar_url from users where search_key like :pattern
    order by case
            when username = :query then 0
            when search_key = ' ' || username || ' ' || :query || ' ' then 1
            when starts_with(search_key, ' ' || :query) then 2
            when starts_with(search_key, ' ' || username || ' ' || :query) then 3
            when strpos(search_key, ' ' || :query) > 0 then 4
            else 5
        end, strpos(search_key, ' ' || :query || ' ') = 0, username
    limit :row_limit
""")
# The index finds candidates by trigrams. One wrong letter of a short word changes most of its trigrams, so
# edit distance decides: an added or missing letter counts 1, a replaced letter or two swapped letters 2. Each
# word of the query must be within 3 of a word of the name (2 below eight letters, 0 below four).
_SEARCH_SIMILAR = text("""
    with candidate as (
        select id, username, name, avatar_url, search_key from users
        where cast(:query as text) <% search_key and search_key not like :pattern
        limit :max_candidates
    ), compared as (
        select id, username, name, avatar_url, word_similarity(:query, search_key) as similarity,
            string_to_array(translate(search_key, '_.-', '   '), ' ') as name_words
        from candidate order by similarity desc limit :max_compared
    )
    select c.id::text, c.username, c.name, c.avatar_url
    from compared c cross join lateral (
        select sum(best.distance) as distance, bool_and(best.distance <= max_distance) as is_similar
        from unnest(string_to_array(:query, ' ')) as query_words (query_word)
        cross join lateral (
            select case when length(query_word) < 4 then 0
                when length(query_word) < 8 then 2 else 3 end as max_distance
        ) as tolerance
        cross join lateral (
            select min(levenshtein_less_equal(query_word, name_word, 1, 1, 2, max_distance)) as distance
            from unnest(c.name_words) as name_words (name_word)
        ) as best
    ) as total
    where total.is_similar
    order by total.distance, c.similarity desc, c.username limit :max_similar
""")
