"""The stage of the process tests: people who act through the web's own actions, and the books."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine, text

from app.domain.errors import Unavailable
from app.offsets import offsets
from app.stores.memberships import Wish
from app.wiring import Parts
from drills.books import Books
from tests.cast import people
from tests.services.crew import Crew, until

REST_SECONDS = 90.0
"""The longest chain: a frozen transaction (15 s), a flusher's claim (6 s), a relay's lease (5 s),
on a busy machine."""


@dataclass
class Stage:
    crew: Crew
    parts: Parts
    engine: Engine
    likes: dict[tuple[str, str], bool] = field(default_factory=dict)
    """(post, person) -> the last wish that was accepted."""
    comments: dict[str, int] = field(default_factory=dict)

    def people(self, many: int) -> list[str]:
        return people(self.engine, *(f"P{n}" for n in range(many)))

    def post(self, owner: str) -> str:
        return self.parts.actions.post(owner, "Hello", None)

    def wants_mail(self) -> None:
        """Everybody gets likes by e-mail, so that the mailer has something to send."""
        with self.engine.begin() as sql:
            sql.execute(
                text(
                    "insert into notification_preferences (user_id, matrix) "
                    "select id, :matrix from users on conflict (user_id) do nothing"
                ),
                {"matrix": '{"LIKE": {"email": true}}'},
            )

    def wish(self, person: str, post: str, on: bool) -> None:
        """Until it is accepted, as a client does that was told to try again."""
        wish = Wish.ON if on else Wish.OFF
        for _ in range(50):
            try:
                self.parts.actions.like(person, post, wish)
            except Unavailable:
                continue
            self.likes[post, person] = on
            return
        raise AssertionError("fifty refusals")

    def comment(self, person: str, post: str) -> None:
        self.parts.actions.comment(person, post, "Nice one")
        self.comments[post] = self.comments.get(post, 0) + 1

    def act(self, crowd: list[str], posts: list[str], draw: random.Random) -> None:
        """One of them does something: mostly likes, back and forth, and now and then words."""
        person, post = draw.choice(crowd), draw.choice(posts)
        if draw.random() < 0.1:
            self.comment(person, post)
        else:
            self.wish(person, post, draw.random() < 0.7)

    def rows(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as sql:
            return [tuple(row) for row in sql.execute(text(statement), values)]

    @property
    def books(self) -> Books:
        return Books(self.engine, self.parts.redis)

    def come_to_rest(self) -> None:
        """Waits until nothing is under way any more, then looks at everything."""
        try:
            until(self._at_rest, REST_SECONDS, "rest")
        except AssertionError as late:
            raise AssertionError(f"{late}: {self._why()}\n{self.crew.evidence()}") from None
        faults = [*self.books.faults(), *self._wrong()]
        assert not faults, "\n".join([*faults, self.crew.evidence()])

    def settles(self) -> None:
        """Waits until the pipeline is empty, whoever filled it; for tests that act over HTTP."""
        until(
            lambda: not (self.books.unsettled() or self._lag()), REST_SECONDS, "an empty pipeline"
        )

    def _at_rest(self) -> bool:
        return not (self._wrong() or self.books.unsettled() or self._lag())

    def _why(self) -> str:
        return f"{self.books.unsettled()} {self._wrong()[:5]} {self._lag()}"

    def _wrong(self) -> list[str]:
        """Pairs whose row is not the last accepted wish, and comments that are not there."""
        found = self.books.wishes("likes")
        wrong = [f"{p}: {on}" for p, on in self.likes.items() if found.get(p, False) != on]
        wrong += [f"{p} was never wished" for p in found if p not in self.likes]
        rows = self.rows("select post_id::text, count(*) from comments group by post_id")
        return wrong if dict(rows) == self.comments else [*wrong, f"comments {dict(rows)}"]  # type: ignore[arg-type]

    def _lag(self) -> dict[str, int]:
        servers = self.parts.settings.addresses.kafka_bootstrap_servers
        return {f"{p.group}/{p.partition}": p.lag for p in offsets(servers) if p.lag}


def meanwhile(act: Callable[[], None], done: Callable[[], bool], seconds: float, what: str) -> None:
    """Acts again and again until it is done."""

    def turn() -> bool:
        act()
        return done()

    until(turn, seconds, what)
