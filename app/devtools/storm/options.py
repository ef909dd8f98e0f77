"""What a storm offers, and its limits. Both ways get the same requests at the same times."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from app.domain.errors import Rejected

MIN_LIKES, MAX_LIKES = 1_000, 50_000
MAX_POSTS = 100
MAX_RATE_PER_SECOND = 5_000
MAX_REQUESTS_PER_PERSON = 50
"""Of one way, comments included. Both ways together stay below RATE_LIMIT_WRITE, which counts the requests of
each person in a minute."""
MAX_OFFER_SECONDS = 600.0
LIKES_PER_COMMENT = 20


@dataclass(frozen=True, slots=True)
class StormOptions:
    likes: int = 2_000
    people: int = 2_000
    posts: int = 1
    """1: one hot post. Else the likes are spread over so many posts of one author."""
    rate: float = 200.0
    """Requests offered per second."""
    with_comments: bool = False
    """One comment after every LIKES_PER_COMMENT likes."""
    close_windows: bool = True
    """Close the windows of the author as soon as all likes are in them, instead of at their time."""
    pipeline_first: bool = False
    """Run the pipeline before one row per like: whether the order matters."""

    def __post_init__(self) -> None:
        """Raises Rejected."""
        _require(
            MIN_LIKES <= self.likes <= MAX_LIKES, f"Likes must be between {MIN_LIKES:,} and {MAX_LIKES:,}"
        )
        _require(1 <= self.posts <= MAX_POSTS, f"Posts must be between 1 and {MAX_POSTS}")
        _require(1 <= self.people <= MAX_LIKES, f"People must be between 1 and {MAX_LIKES:,}")
        _require(
            self.likes <= self.people * self.posts,
            "Nobody likes a post twice: choose more people or more posts",
        )
        _require(
            self._max_requests_per_person <= MAX_REQUESTS_PER_PERSON,
            f"Nobody sends more than {MAX_REQUESTS_PER_PERSON} likes and comments: choose more people",
        )
        _require(
            0 < self.rate <= MAX_RATE_PER_SECOND, f"The rate must be at most {MAX_RATE_PER_SECOND:,} a second"
        )
        _require(
            self.offer_seconds <= MAX_OFFER_SECONDS,
            f"That would take longer than {MAX_OFFER_SECONDS / 60:.0f} minutes: choose a higher rate",
        )

    @property
    def comment_count(self) -> int:
        return self.likes // LIKES_PER_COMMENT if self.with_comments else 0

    @property
    def request_count(self) -> int:
        return self.likes + self.comment_count

    @property
    def _max_requests_per_person(self) -> int:
        return math.ceil(self.likes / self.people) + math.ceil(self.comment_count / self.people)

    @property
    def offer_seconds(self) -> float:
        return self.request_count / self.rate

    def iter_likes(self) -> Iterator[tuple[int, int]]:
        """Indexes of person and post, each pair once; the posts take turns, and each gets some."""
        spread = max(1.0, self.posts / self.people)  # between the first posts of two people
        for index in range(self.likes):
            person, round_index = index % self.people, index // self.people
            yield person, (int(person * spread) + round_index) % self.posts


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Rejected(message, "invalid", 400)
