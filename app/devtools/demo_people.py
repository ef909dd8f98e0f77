"""The people of the demo: eight users with posts, follows, likes and comments. Ada is an administrator.

In: POST /enter-as-ada and POST /api/test/demo-people (`make demo`), in testing mode. Out: rows of the table
users, and the same actions as of other users (app/ingest/actions.py).
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from gevent.lock import BoundedSemaphore

from app.accounts.passwords import PasswordHashing
from app.clients.request_deadline import reset_request_timeout_budget
from app.domain.errors import Rejected, Unavailable, define_rejection
from app.ingest.actions import Actions, DesiredState
from app.persistence.pages import PageRequest
from app.social.posts import PostReader
from app.social.users import Account, NewUser, Users

PASSWORD = "Demo-2026-chime"  # noqa: S105 - shown to whoever runs the demo
EMAIL_DOMAIN = "chime.example"
ADMINISTRATOR_NAME = "Ada"
USER_NAMES = (ADMINISTRATOR_NAME, "Ben", "Cem", "Dina", "Eli", "Fay", "Gus", "Hana")
CAPTIONS = (
    "First morning swim of the year. Cold, bright, worth it.",
    "Does anybody else name their sourdough starters?",
    "The old bridge is open again!",
    "Looking for a fourth player on Thursday evening.",
)
"""One of each of the first users."""
COMMENT_TEXTS = ("Lovely!", "Count me in.", "I was there too.", "Made my day.")
FOLLOWED_USERS = 2
"""All others follow the first ones."""
CREATION_TIMEOUT_SECONDS = 10.0
FOREIGN_ACCOUNT = define_rejection(
    f"An address of the demo (@{EMAIL_DOMAIN}) belongs to an account with another password than that of the "
    "demo. Delete that account, or change its password back.",
    "demo_account_taken",
    409,
)


@dataclass(frozen=True, slots=True)
class Demo:
    accounts: list[Account]
    post_ids: list[str]

    @property
    def administrator(self) -> Account:
        return self.accounts[0]


class DemoPeople:
    def __init__(
        self,
        users: Users,
        posts: PostReader,
        get_actions: Callable[[], Actions],
        password_hashing: PasswordHashing,
        new_id: Callable[[], str],
    ) -> None:
        """`get_actions` raises Unavailable while writes are not accepted."""
        self._users = users
        self._posts = posts
        self._get_actions = get_actions
        self._password_hashing = password_hashing
        self._new_id = new_id
        self._lock = BoundedSemaphore()
        self._verified_hashes: set[str] = set()

    @cached_property
    def _password_hash(self) -> str:
        return self._password_hashing.hash(PASSWORD)

    def create_missing(self) -> Demo:
        """Creates what is missing. The role of the administrator is given last: until then, a call that
        failed halfway is repeated. Raises Unavailable, and Rejected (409) if somebody else registered one of
        the addresses before.

        Two web processes that create the demo at the same time create each account once, and may create two
        posts of an author.
        """
        if not self._lock.acquire(timeout=CREATION_TIMEOUT_SECONDS):
            raise Unavailable("The demo is being created, please retry", "busy")
        try:
            accounts = [self._find_account(name) or self._create_account(name) for name in USER_NAMES]
            found_post_ids = [self._find_post(author.id) for author in accounts[: len(CAPTIONS)]]
            post_ids = [post_id for post_id in found_post_ids if post_id]
            if accounts[0].role != "admin" or len(post_ids) < len(CAPTIONS):
                post_ids = self._create_content(accounts, found_post_ids)
                self._users.promote_to_admin(accounts[0].id)
            return Demo(accounts, post_ids)
        finally:
            self._lock.release()

    def _find_account(self, name: str) -> Account | None:
        """Raises Rejected (409) if it is not an account of the demo. Passwords take time to verify, so each
        is verified once per process."""
        reset_request_timeout_budget()
        account = self._users.find_account_by_email(_email(name))
        if account is not None and account.password_hash not in self._verified_hashes:
            if not self._password_hashing.verify(PASSWORD, account.password_hash):
                raise FOREIGN_ACCOUNT
            self._verified_hashes.add(account.password_hash)
        return account

    def _create_account(self, name: str) -> Account:
        """The user name has a random end: somebody else may have any other."""
        new_user = NewUser(
            id=self._new_id(),
            email=_email(name),
            username=f"{name.lower()}_{secrets.token_hex(3)}",
            name=name,
            password_hash=self._password_hash,
        )
        try:
            return self._users.create(new_user)
        except Rejected:  # another process created it meanwhile
            account = self._find_account(name)
            if account is None:
                raise
            return account

    def _find_post(self, author_id: str) -> str | None:
        newest_posts = self._posts.list_newest(author_id, PageRequest(1)).items
        return newest_posts[0].id if newest_posts else None

    def _create_content(self, accounts: list[Account], found_post_ids: Sequence[str | None]) -> list[str]:
        """All users follow the first two; later posts have fewer likes and comments. Follows and likes that
        exist stay as they are; comments are added to new posts only. Returns the ids of the posts."""
        actions, post_ids = self._get_actions(), list[str]()
        for follower in accounts[FOLLOWED_USERS:]:
            for followed in accounts[:FOLLOWED_USERS]:
                actions.set_follow(follower.id, followed.id, DesiredState.ON)
        # The post of the first user is created last, so that it is on top of the feed.
        for index, found_post_id in reversed(list(enumerate(found_post_ids))):
            reset_request_timeout_budget()
            post_id = found_post_id or actions.create_post(accounts[index].id, CAPTIONS[index], None)
            for liker in accounts[index + 1 :]:
                actions.set_like(liker.id, post_id, DesiredState.ON)
            if found_post_id is None:
                self._create_comments(actions, post_id, accounts, COMMENT_TEXTS[index:])
            post_ids.insert(0, post_id)
        return post_ids

    def _create_comments(
        self, actions: Actions, post_id: str, accounts: list[Account], texts: Sequence[str]
    ) -> None:
        for author, text in zip(accounts[len(CAPTIONS) :], texts, strict=False):
            actions.create_comment(author.id, post_id, text)


def _email(name: str) -> str:
    return f"{name.lower()}@{EMAIL_DOMAIN}"
