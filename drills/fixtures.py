"""Users and posts of a drill, its load profile, and the file that passes them to the load generator."""

import json
import random
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from harness.environment import TEST_SECRET_KEY
from harness.fixtures import create_access_token, create_posts, create_users, make_admin

USER_COUNT, POST_COUNT, POST_OWNER_COUNT, OTP_USER_COUNT = 50, 40, 8, 6


@dataclass
class DrillFixtures:
    user_ids: list[str]
    post_owner_ids: list[str]
    otp_user_ids: list[str]
    post_ids: list[str]
    never_unliked_post_ids: list[str]
    """Posts that are never unliked, so that their counts must not decrease."""
    admin_id: str = ""
    tokens_by_user_id: dict[str, str] = field(default_factory=dict)

    @property
    def socket_user_ids(self) -> list[str]:
        return [*self.post_owner_ids, *self.otp_user_ids]

    @property
    def all_user_ids(self) -> list[str]:
        return [*self.user_ids, *self.otp_user_ids, self.admin_id]


@dataclass
class LoadProfile:
    """What the clients do. Rates are of all clients together."""

    requests_per_second: float = 100.0
    otp_requests_per_second: float = 2.0
    client_count: int = 25
    seed: int = 0
    keep_alive: bool = True
    """If false, each request opens a connection; one that is reset was then accepted before the reset."""
    hot_post_share: float = 0.3
    request_weights: dict[str, float] = field(
        default_factory=lambda: {
            "like": 68.0,
            "unlike": 10.0,
            "comment": 14.0,
            "follow": 4.0,
            "unfollow": 1.0,
            "read": 3.0,
        }
    )


def create_fixtures(engine: Engine) -> DrillFixtures:
    """The first post is the hot one. A tenth of the posts are never unliked."""
    all_user_ids = create_users(engine, USER_COUNT + OTP_USER_COUNT + 1)
    user_ids, otp_user_ids, admin_id = (
        all_user_ids[:USER_COUNT],
        all_user_ids[USER_COUNT:-1],
        all_user_ids[-1],
    )
    make_admin(engine, admin_id)
    post_owner_ids = user_ids[:POST_OWNER_COUNT]
    post_ids = [
        post_id
        for owner_id in post_owner_ids
        for post_id in create_posts(engine, owner_id, POST_COUNT // POST_OWNER_COUNT)
    ]
    random.Random(post_ids[0]).shuffle(post_ids)
    fixtures = DrillFixtures(
        user_ids, post_owner_ids, otp_user_ids, post_ids, post_ids[-POST_COUNT // 10 :], admin_id
    )
    fixtures.tokens_by_user_id = {
        user_id: create_access_token(user_id, TEST_SECRET_KEY) for user_id in all_user_ids
    }
    return fixtures


def write_load_config(
    path: Path,
    fixtures: DrillFixtures,
    load_profile: LoadProfile,
    ports: list[int],
    request_log_path: Path,
) -> None:
    config = {
        "fixtures": asdict(fixtures),
        "load_profile": asdict(load_profile),
        "ports": ports,
        "request_log": str(request_log_path),
    }
    path.write_text(json.dumps(config))


def read_load_config(path: Path) -> tuple[DrillFixtures, LoadProfile, list[int], Path]:
    config = json.loads(path.read_text())
    return (
        DrillFixtures(**config["fixtures"]),
        LoadProfile(**config["load_profile"]),
        config["ports"],
        Path(config["request_log"]),
    )
