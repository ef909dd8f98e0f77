"""The people of a storm, its author and the author's posts, made directly in the tables.

People are kept for the next storm. They are marked as simulated, so that they get no e-mail, and cannot log
in. The author and the posts belong to one storm and are removed after it, with all that is about them.
"""

from http import HTTPStatus

import uuid_utils
from sqlalchemy import Engine, text

from app.clients.postgres import translate_errors
from app.domain.errors import Rejected
from app.social.removals import PostAndAccountRemoval

BATCH_SIZE = 5_000
FIRST_NAMES = ("Ada", "Ben", "Cem", "Dina", "Eli", "Fay", "Gus", "Hana", "Ida", "Jon", "Kim", "Lea")
CAPTION = "Everybody likes this"


def ensure_people(engine: Engine, count: int) -> list[str]:
    """The ids of so many people; creates those that do not exist yet. Raises Unavailable, and RuntimeError if
    somebody registered with the e-mail address of one."""
    ids: list[str] = []
    for first in range(0, count, BATCH_SIZE):
        numbers = range(first + 1, min(first + BATCH_SIZE, count) + 1)
        params = {
            "usernames": [f"storm-person-{number}" for number in numbers],
            "names": [f"{FIRST_NAMES[number % len(FIRST_NAMES)]} {number}" for number in numbers],
        }
        with translate_errors("create the people of a storm"), engine.begin() as conn:
            conn.execute(_INSERT_PEOPLE, params)
            ids += conn.execute(_SELECT_PEOPLE, params).scalars()
    if len(ids) < count:
        raise RuntimeError(f"{count - len(ids)} people of the storm could not be created")
    return ids


def create_author(engine: Engine, post_count: int) -> tuple[str, list[str]]:
    """The ids of a new author and of their posts. Raises Unavailable."""
    author_id = str(uuid_utils.uuid7())
    post_ids = [str(uuid_utils.uuid7()) for _ in range(post_count)]
    with translate_errors("create the author of a storm"), engine.begin() as conn:
        name = f"storm-author-{author_id[-12:]}"
        conn.execute(_INSERT_AUTHOR, {"id": author_id, "name": name})
        conn.execute(_INSERT_POSTS, {"ids": post_ids, "author": author_id, "caption": CAPTION})
    return author_id, post_ids


def remove_authors(engine: Engine, removals: PostAndAccountRemoval) -> None:
    """Removes the authors of all storms, with their posts, and the likes, comments and notifications about
    them; also those that a storm whose process died has left. Ignores what somebody else deletes meanwhile.
    Raises Unavailable."""
    with translate_errors("find the authors of storms"), engine.connect() as conn:
        author_ids = list(conn.execute(_SELECT_AUTHORS).scalars())
    for author_id in author_ids:
        try:
            removals.delete_account(author_id)
        except Rejected as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise


# Nobody can register a user name with a hyphen.
_INSERT_PEOPLE = text("""
    insert into users (email, username, name, is_simulated)
    select username || '@storm.invalid', username, name, true
    from unnest(cast(:usernames as text[]), cast(:names as text[])) as people (username, name)
    on conflict do nothing
""")
_SELECT_PEOPLE = text("""
    select id::text from users where username = any(cast(:usernames as text[])) order by id
""")
_INSERT_AUTHOR = text("""
    insert into users (id, email, username, name, is_simulated)
    values (:id, :name || '@storm.invalid', :name, 'Author of a storm', true)
""")
_INSERT_POSTS = text("""
    insert into posts (id, user_id, caption)
    select unnest(cast(:ids as uuid[])), :author, :caption
""")
_SELECT_AUTHORS = text("""
    select id::text from users where username like 'storm-author-%'
""")
