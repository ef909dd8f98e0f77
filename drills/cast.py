"""The people and posts of one drill, and how its crowd behaves: what the crowd process is told."""

import json
import random
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import Engine, text

from bench.people import people, posts, token
from drills.rig import SECRET

PEOPLE, POSTS, OWNERS, CRITICAL = 50, 40, 8, 6


@dataclass
class Cast:
    people: list[str]
    owners: list[str]
    critical: list[str]
    posts: list[str]
    liked_only: list[str]
    """Posts that nobody ever takes a like from: their counts never fall."""
    admin: str = ""
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def listeners(self) -> list[str]:
        return [*self.owners, *self.critical]

    @property
    def everybody(self) -> list[str]:
        return [*self.people, *self.critical, self.admin]


@dataclass
class Behaviour:
    """What the crowd does. Rates are per second, all clients together."""

    rate: float = 100.0
    critical_rate: float = 2.0
    clients: int = 25
    seed: int = 0
    keep_alive: bool = True
    """Else each request opens a connection: then a cut one was accepted before it was cut."""
    hot_share: float = 0.3
    mix: dict[str, float] = field(
        default_factory=lambda: {
            "like": 68.0,
            "unlike": 10.0,
            "comment": 14.0,
            "follow": 4.0,
            "unfollow": 1.0,
            "read": 3.0,
        }
    )


def make(engine: Engine) -> Cast:
    """The first post is the hot one. A tenth of the posts only ever gain likes."""
    everybody = people(engine, PEOPLE + CRITICAL + 1)
    persons, critical, admin = everybody[:PEOPLE], everybody[PEOPLE:-1], everybody[-1]
    with engine.begin() as sql:
        sql.execute(text("update users set role = 'admin' where id = :id"), {"id": admin})
    owners = persons[:OWNERS]
    made = [post for owner in owners for post in posts(engine, owner, POSTS // OWNERS)]
    random.Random(made[0]).shuffle(made)
    cast = Cast(persons, owners, critical, made, made[-POSTS // 10 :], admin)
    cast.tokens = {one: token(one, SECRET) for one in everybody}
    return cast


def write(path: Path, cast: Cast, behaviour: Behaviour, ports: list[int], ledger: Path) -> None:
    told = {"cast": asdict(cast), "behaviour": asdict(behaviour), "ports": ports}
    path.write_text(json.dumps(told | {"ledger": str(ledger)}))


def read(path: Path) -> tuple[Cast, Behaviour, list[int], Path]:
    told = json.loads(path.read_text())
    return Cast(**told["cast"]), Behaviour(**told["behaviour"]), told["ports"], Path(told["ledger"])
