"""A simulated client: sends random requests with the weights of the load profile."""

import random
from collections.abc import Callable

from app.devtools.checker.request_log import ACKNOWLEDGED
from drills.fixtures import DrillFixtures, LoadProfile
from drills.http_client import LoggingHttpClient


class SimulatedClient:
    """Acts for several users, one request at a time, so that each user's requests have an order."""

    def __init__(
        self,
        user_ids: list[str],
        fixtures: DrillFixtures,
        load_profile: LoadProfile,
        http_client: LoggingHttpClient,
        rng: random.Random,
    ) -> None:
        self._user_ids = user_ids
        self._fixtures = fixtures
        self._hot_post_share = load_profile.hot_post_share
        self._request_kinds = list(load_profile.request_weights)
        self._request_weights = list(load_profile.request_weights.values())
        self._http_client = http_client
        self._rng = rng

    def perform_random_request(self) -> None:
        user_id = self._rng.choice(self._user_ids)
        request_kind = self._rng.choices(self._request_kinds, self._request_weights)[0]
        handlers: dict[str, Callable[[str, str], None]] = {
            "like": self._change_like,
            "unlike": self._change_like,
            "follow": self._change_follow,
            "unfollow": self._change_follow,
            "comment": self._add_comment,
            "read": self._read_random_post,
        }
        handlers[request_kind](request_kind, user_id)

    def _choose_post(self, request_kind: str = "like") -> str:
        excluded_post_ids = set(self._fixtures.never_unliked_post_ids) if request_kind == "unlike" else ()
        while True:
            choose_hot_post = self._rng.random() < self._hot_post_share
            post_id = (
                self._fixtures.post_ids[0] if choose_hot_post else self._rng.choice(self._fixtures.post_ids)
            )
            if post_id not in excluded_post_ids:
                return post_id

    def _change_like(self, request_kind: str, user_id: str) -> None:
        post_id = self._choose_post(request_kind)
        method = "PUT" if request_kind == "like" else "DELETE"
        token = self._fixtures.tokens_by_user_id[user_id]
        path = f"/api/posts/{post_id}/like"
        result = self._http_client.send_with_retries(request_kind, user_id, post_id, method, path, token)
        if result["outcome"] == ACKNOWLEDGED and self._rng.random() < 0.1:
            self._read_post(user_id, post_id)

    def _change_follow(self, request_kind: str, user_id: str) -> None:
        followed_user_id = self._rng.choice(
            [candidate_id for candidate_id in self._fixtures.user_ids if candidate_id != user_id]
        )
        method = "PUT" if request_kind == "follow" else "DELETE"
        path = f"/api/follows/{followed_user_id}"
        self._http_client.send_with_retries(
            request_kind,
            user_id,
            followed_user_id,
            method,
            path,
            self._fixtures.tokens_by_user_id[user_id],
        )

    def _add_comment(self, request_kind: str, user_id: str) -> None:
        """Half of them have an Idempotency-Key and are retried when the response is lost."""
        post_id, token = self._choose_post(), self._fixtures.tokens_by_user_id[user_id]
        marker = f"drill-{self._rng.getrandbits(64):016x}"
        body = {"postId": post_id, "content": marker}
        request = ("POST", "/api/comments", token)
        if self._rng.random() < 0.5:
            self._http_client.send_with_retries(
                request_kind, user_id, f"{post_id} {marker}", *request, body=body, idempotency_key=marker
            )
        else:
            self._http_client.send_once(request_kind, user_id, f"{post_id} {marker}", *request, body=body)

    def _read_random_post(self, request_kind: str, user_id: str) -> None:
        self._read_post(user_id, self._choose_post())

    def _read_post(self, user_id: str, post_id: str) -> None:
        path = f"/api/posts/{post_id}"
        self._http_client.send_once(
            "read", user_id, post_id, "GET", path, self._fixtures.tokens_by_user_id[user_id]
        )
