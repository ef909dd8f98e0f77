"""A popular author: python -m app.devtools.seed_audience --subscribers N [--likers N]

Adds users, written directly to the tables of DATABASE_URL, who all follow one author and subscribe to their
posts; with --likers a post of the author with so many likes. Prints the ids. Testing mode only. A million
users take about two minutes and 700 MB.
"""

import argparse
import sys
from dataclasses import dataclass

import uuid_utils
from sqlalchemy import Engine, text

from app.clients.postgres import WORKER_STATEMENT_TIMEOUT_MS, create_pg_engine
from app.domain.errors import Unavailable
from app.domain.text import user_search_key
from app.setting_readers import SettingsError
from app.settings import load_settings

BATCH_SIZE = 20_000
EMAIL_DOMAIN = "@audience.invalid"


@dataclass(frozen=True, slots=True)
class SeededAudience:
    author_id: str
    post_id: str | None


def seed_audience(engine: Engine, subscriber_count: int, liker_count: int = 0) -> SeededAudience:
    """Adds an author with so many followers and subscribers, and a post with so many likes. The users are
    marked as simulated: they get no e-mail."""
    author_id, post_id = str(uuid_utils.uuid7()), str(uuid_utils.uuid7()) if liker_count else None
    with engine.begin() as conn:
        name = f"author_{author_id.replace('-', '')}"
        conn.execute(_INSERT_AUTHOR, {"id": author_id, "name": name, "key": user_search_key(name, "Author")})
        if post_id:
            conn.execute(_INSERT_POST, {"post": post_id, "author": author_id, "count": liker_count})
    user_count = max(subscriber_count, liker_count)
    for first in range(0, user_count, BATCH_SIZE):
        with engine.begin() as conn:
            params = {
                "author": author_id,
                "post": post_id,
                "count": min(BATCH_SIZE, user_count - first),
                "subscribers": max(0, min(BATCH_SIZE, subscriber_count - first)),
                "likers": max(0, min(BATCH_SIZE, liker_count - first)),
                "domain": EMAIL_DOMAIN,
            }
            conn.execute(_INSERT_BATCH, params)
    with engine.begin() as conn:
        conn.execute(_SET_FOLLOWER_COUNT, {"author": author_id, "count": subscriber_count})
    return SeededAudience(author_id, post_id)


_INSERT_AUTHOR = text("""
    insert into users (id, email, username, name, search_key, is_simulated)
    values (:id, :name || '@audience.invalid', :name, 'Author', :key, true)
""")
_INSERT_POST = text(
    "insert into posts (id, user_id, caption, like_count) values (:post, :author, 'A large post', :count)"
)
_INSERT_BATCH = text("""
    with created as (
        insert into users (id, email, username, name, is_simulated)
        select id, id || :domain, 'a_' || replace(id::text, '-', ''), 'Reader', true
        from (select uuidv7() as id from generate_series(1, :count)) ids
        returning id
    ), numbered as (
        select id, row_number() over (order by id) as number from created
    ), subscriptions as (
        insert into bell_subscriptions (subscriber_id, target_user_id)
        select id, :author from numbered where number <= :subscribers
    ), follows_of_author as (
        insert into follows (follower_id, following_id) select id, :author from numbered
        where number <= :subscribers
    )
    insert into likes (post_id, user_id) select cast(:post as uuid), id from numbered where number <= :likers
""")
_SET_FOLLOWER_COUNT = text("update users set follower_count = :count where id = :author")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m app.devtools.seed_audience", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=10_000, help="subscribers and followers")
    parser.add_argument("--likers", type=int, default=0, help="likes of one post of the author")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings()
        if not settings.web.is_testing:
            raise SettingsError("seed_audience needs APP_MODE=testing")
        engine = create_pg_engine(settings.service_urls.database_url, WORKER_STATEMENT_TIMEOUT_MS, "admin")
        audience = seed_audience(engine, options.subscribers, options.likers)
    except (SettingsError, Unavailable) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(f"author {audience.author_id}\n")
    if audience.post_id:
        sys.stdout.write(f"post {audience.post_id}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
