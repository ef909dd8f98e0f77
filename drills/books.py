"""The books: what must be true of the stores once everything has come to rest, whatever was before.

books = Books(engine, redis)
assert books.faults() == []
assert books.wishes("likes") == {(post, person): True, ...}
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import redis
from sqlalchemy import Engine, text

from app.domain.events import UNGROUPED_KINDS

Pairs = dict[tuple[str, str], bool]
_WISHES = {
    "likes": "select post_id::text, user_id::text, active from likes",
    "follows": "select following_id::text, follower_id::text, active from follows",
}
_STANDINGS = {
    "LIKE": (
        "like",
        "select p.id::text, p.like_count, count(l.user_id) from posts p "
        "left join active_likes l on l.post_id = p.id group by p.id",
    ),
    "FOLLOW": (
        "follow",
        "select u.id::text, u.follower_count, count(f.follower_id) from users u "
        "left join follows f on f.following_id = u.id and f.active group by u.id",
    ),
    "COMMENT": (
        "comment",
        "select p.id::text, p.comment_count, count(c.id) from posts p "
        "left join comments c on c.post_id = p.id and c.active group by p.id",
    ),
}
"""Per kind of group: its prefix in Redis; and per object the counter and the rows it counts."""
_SHOULD_BE_TOLD = {
    "LIKE": "select l.post_id::text, l.user_id::text from active_likes l "
    "join posts p on p.id = l.post_id and p.user_id <> l.user_id",
    "FOLLOW": "select following_id::text, follower_id::text from follows where active",
    "COMMENT": "select distinct c.post_id::text, c.user_id::text from comments c "
    "join posts p on p.id = c.post_id and p.user_id <> c.user_id where c.active",
}
_MEMBERS = (
    "select n.object_id::text, a.actor_id::text, a.active, a.announced from notifications n "
    "join notification_actors a on a.notification_id = n.id where n.type = :kind"
)


@dataclass(frozen=True)
class Books:
    engine: Engine
    redis: "redis.Redis"

    def wishes(self, table: str) -> Pairs:
        """(what, who) -> whether it stands, as the table says."""
        return {(row[0], row[1]): row[2] for row in self._rows(_WISHES[table])}

    def faults(self) -> list[str]:
        """Everything that is wrong, in sentences; empty when the books balance."""
        return [
            *self._left_over(),
            *self._counts(),
            *self._groups(),
            *self._announcements(),
            *self._frames(),
            *self._badges(),
        ]

    def unsettled(self) -> list[str]:
        """What still waits somewhere: the pipeline is not at rest."""
        return self._left_over()

    def _left_over(self) -> list[str]:
        """Nothing waits anywhere."""
        found = {
            "frames in the outbox": self._one(
                "select count(*) from outbox where published_at is null"
            ),
            "rows in the fallback queue": self._one(
                "select count(*) from kafka_fallback_queue where not processed"
            ),
            "windows": self.redis.zcard("windows:due"),
            "entries in the ingress": sum(self.redis.xlen(f"ingress:{n}") for n in range(5)),
        }
        for pattern in ("window:*", "closing:*", "windows:held:*", "comment:pending:*"):
            found[f"keys {pattern}"] = len(list(self.redis.scan_iter(pattern, count=1000)))
        for shard in range(5):
            if self.redis.exists(f"ingress:{shard}"):
                found[f"pending in ingress:{shard}"] = self._pending(f"ingress:{shard}")
        return [f"left over: {many} {what}" for what, many in found.items() if many]

    def _pending(self, stream: str) -> int:
        try:
            answer: Any = self.redis.xpending(stream, "bridge")
        except redis.ResponseError:
            return self.redis.xlen(stream)  # emptied a moment ago: nobody reads it yet
        return int(answer["pending"])

    def _counts(self) -> list[str]:
        """Redis, the counter, the rows it counts and the group agree."""
        out = []
        for kind, (prefix, statement) in _STANDINGS.items():
            for subject, counter, rows in self._rows(statement):
                shown: Any = self.redis.get(f"{prefix}:count:{subject}")
                shown = int(shown) if shown is not None else rows
                if not rows == counter == shown:
                    out.append(f"{kind} of {subject}: {rows=} {counter=} Redis={shown}")
        return out

    def _groups(self) -> list[str]:
        """Who does is a current member of exactly one generation, and nobody else is."""
        out = []
        for kind, statement in _SHOULD_BE_TOLD.items():
            wanted = {(row[0], row[1]) for row in self._rows(statement)}
            members = [(row[0], row[1]) for row in self._rows(_MEMBERS, kind=kind) if row[2]]
            twice = [one for one, many in Counter(members).items() if many > 1]
            if kind != "COMMENT" and twice:
                out.append(f"{kind}: in two generations at once: {twice}")
            if set(members) != wanted:
                out.append(f"{kind}: missing {wanted - set(members)} extra {set(members) - wanted}")
        rows = self._rows(
            "select n.id, n.type, n.actor_count, n.owed_count, count(a.actor_id) filter "
            "(where a.active), n.removed_at is not null from notifications n "
            "left join notification_actors a on a.notification_id = n.id "
            "where n.type <> all(:alone) group by n.id",
            alone=[kind.value for kind in UNGROUPED_KINDS],
        )
        return out + [
            f"row {row[0]} {row[1]}: count {row[2]} owed {row[3]} actors {row[4]}"
            for row in rows
            if row[3] or row[2] != row[4] or row[5] != (row[4] == 0)
        ]

    def _announcements(self) -> list[str]:
        """Each actor rang once: the numbers announced of a row are its announced actors."""
        out = []
        rang: dict[str, int] = defaultdict(int)
        for row, new in self._rows(
            "select payload->>'id', (payload->'metadata'->>'newCount')::int from outbox "
            "where frame = 'notification'"
        ):
            rang[row] += new
        for row, many, silent in self._rows(
            "select notification_id::text, count(*) filter (where announced), "
            "count(*) filter (where active and not announced) "
            "from notification_actors group by notification_id"
        ):
            if rang[row] != many or silent:
                out.append(f"row {row}: rang {rang[row]}, announced {many}, never told {silent}")
        for kind in ("LIKE", "FOLLOW"):
            announced = Counter(
                (row[0], row[1]) for row in self._rows(_MEMBERS, kind=kind) if row[3]
            )
            out += [f"{kind} rang twice: {one}" for one, many in announced.items() if many > 1]
        return out

    def _frames(self) -> list[str]:
        """Per person 1..n without gaps; the last frame of a row tells what the row says."""
        out = []
        for user, last, seqs in self._rows(
            "select u.id::text, u.frame_seq, array_agg(o.seq order by o.id) from users u "
            "join outbox o on o.user_id = u.id and o.seq is not null group by u.id"
        ):
            if seqs != list(range(1, last + 1)):
                out.append(f"frames of {user} are {seqs}, counter {last}")
        for row, version, actors, frame, payload in self._rows(
            "select distinct on (n.id) n.id, n.version, n.actor_count, o.frame, o.payload "
            "from notifications n left join outbox o on o.payload->>'id' = n.id::text "
            "order by n.id, o.id desc"
        ):
            if payload is None:
                out += [f"row {row} was never told"] if version else []
            elif payload["version"] != version:
                out.append(f"row {row} is at {version}, told {payload['version']}")
            elif frame != "notification_removed":
                told = payload["metadata"]["aggregatedCount"]
                out += [f"row {row}: {actors} actors, told {told}"] if told != actors else []
        return out

    def _badges(self) -> list[str]:
        """The last badge is the number of unread rows."""
        out = []
        for user, told, unread in self._rows(
            "select distinct on (o.user_id) o.user_id::text, (o.payload->>'count')::int, "
            "(select count(*) from notifications n where n.user_id = o.user_id and not n.is_read "
            "and n.removed_at is null and n.archived_at is null and n.version > 0) "
            "from outbox o where o.frame = 'unread_count' "
            "order by o.user_id, (o.payload->>'version')::bigint desc"
        ):
            out += [f"badge of {user}: told {told}, unread {unread}"] if told != unread else []
        return out

    def _rows(self, statement: str, **values: object) -> list[Any]:
        with self.engine.connect() as sql:
            return list(sql.execute(text(statement), values))

    def _one(self, statement: str) -> int:
        return int(self._rows(statement)[0][0])
