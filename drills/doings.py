"""What a person does next: mostly likes, now and then words, and looks at what came of it.

In    drills/crowd.py: whose turn it is
Out   drills/clients.py
"""

import random
from collections.abc import Callable

from drills.cast import Behaviour, Cast
from drills.clients import Caller
from drills.ledger import OK


class Person:
    """A client that acts for a few people, one doing at a time: their words have an order."""

    def __init__(
        self, own: list[str], cast: Cast, behaviour: Behaviour, caller: Caller, draw: random.Random
    ) -> None:
        self._own = own
        self._cast = cast
        self._hot_share = behaviour.hot_share
        self._kinds = list(behaviour.mix)
        self._weights = list(behaviour.mix.values())
        self._caller = caller
        self._draw = draw

    def act(self) -> None:
        who = self._draw.choice(self._own)
        kind = self._draw.choices(self._kinds, self._weights)[0]
        do: dict[str, Callable[[str, str], None]] = {
            "like": self._wish,
            "unlike": self._wish,
            "follow": self._follow,
            "unfollow": self._follow,
            "comment": self._comment,
            "read": self._read,
        }
        do[kind](kind, who)

    def _post(self, kind: str = "like") -> str:
        gain = set(self._cast.liked_only) if kind == "unlike" else ()
        while True:
            hot = self._draw.random() < self._hot_share
            post = self._cast.posts[0] if hot else self._draw.choice(self._cast.posts)
            if post not in gain:
                return post

    def _wish(self, kind: str, who: str) -> None:
        post = self._post(kind)
        verb = "PUT" if kind == "like" else "DELETE"
        token = self._cast.tokens[who]
        path = f"/api/posts/{post}/like"
        said = self._caller.until_known(kind, who, post, verb, path, token)
        if said["outcome"] == OK and self._draw.random() < 0.1:
            self._read_of(who, post)

    def _follow(self, kind: str, who: str) -> None:
        other = self._draw.choice([one for one in self._cast.people if one != who])
        verb = "PUT" if kind == "follow" else "DELETE"
        path = f"/api/follows/{other}"
        self._caller.until_known(kind, who, other, verb, path, self._cast.tokens[who])

    def _comment(self, kind: str, who: str) -> None:
        """Half of them with a key, which are repeated when the answer is lost."""
        post, token = self._post(), self._cast.tokens[who]
        mark = f"drill-{self._draw.getrandbits(64):016x}"
        body = {"postId": post, "content": mark}
        ask = ("POST", "/api/comments", token)
        if self._draw.random() < 0.5:
            self._caller.until_known(kind, who, f"{post} {mark}", *ask, body=body, key=mark)
        else:
            self._caller.once(kind, who, f"{post} {mark}", *ask, body=body)

    def _read(self, kind: str, who: str) -> None:
        self._read_of(who, self._post())

    def _read_of(self, who: str, post: str) -> None:
        path = f"/api/posts/{post}"
        self._caller.once("read", who, post, "GET", path, self._cast.tokens[who])
