"""The list of deliberate bugs: where each goes, and what must notice it.

A passage that has changed since stops the test of this list (tests/drills), so that no bug is
quietly left out.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    name: str
    says: str
    caught_by: tuple[str, ...]
    """Test files, or the name of a drill."""
    edits: tuple[Edit, ...]

    def put_into(self, tree: Path) -> None:
        for edit in self.edits:
            path = tree / edit.path
            text = path.read_text()
            if text.count(edit.old) != 1:
                raise RuntimeError(f"{self.name}: {edit.path} has changed; write the bug anew")
            path.write_text(text.replace(edit.old, edit.new))


def _bug(name: str, says: str, caught_by: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(name, says, tuple(caught_by.split()), (Edit(path, old, new),))


_WRITTEN = """\
        settled = self._ends.ledger.write(Batch(tuple(told)))
        reach("aggregator.written")
"""
_FLUSHED = "        settled = self._ledger.write(Batch(entries, closes))\n"
_EMITTED = """\
        reach("deliverer.emitted")
        self._subscriber.commit(positions(self._waiting))
"""
MUTANTS = (
    _bug(
        "acknowledge-before-effect",
        "the bridge takes entries off the ingress before Kafka has them",
        "tests/workers/test_bridge.py",
        "workers/bridge.py",
        "        aside |= self._publish(straight)\n",
        "        for number, entries in batches.items():\n"
        "            self._acknowledge(number, entries, events[number], 0)\n"
        "        aside |= self._publish(straight)\n",
    ),
    _bug(
        "no-tombstone",
        "an unlike deletes its row, so that an older like comes back",
        "tests/stores/test_ledger_rows.py",
        "app/stores/rows.py",
        "    returned = sql.execute(statement, values).all()\n",
        "    returned = sql.execute(statement, values).all()\n"
        '    sql.execute(text("delete from likes where not active"))\n',
    ),
    _bug(
        "no-order",
        "a row takes any word, also an older one",
        "tests/stores/test_ledger_rows.py",
        "app/stores/rows.py",
        "        where likes.seq < excluded.seq\n",
        "",
    ),
    _bug(
        "no-fence",
        "a bridge whose lease is over goes on acknowledging",
        "tests/contract/test_ingress.py tests/contract/test_leases.py tests/workers/test_bridge.py",
        "app/stores/scripts/acknowledge.lua",
        "if holder and holder ~= ARGV[1] then return -1 end\n",
        "",
    ),
    _bug(
        "drop-on-full",
        "a like that finds the ingress full is answered as if it were kept",
        "tests/contract/test_wishes.py",
        "app/stores/scripts/wish.lua",
        "    return {'full', 0, 0}\n",
        "    return {'done', wanted, tonumber(count)}\n",
    ),
    _bug(
        "late-words-act",
        "a call that waited in a frozen Redis acts over newer words",
        "tests/contract/test_wishes.py",
        "app/stores/scripts/wish.lua",
        "if time[1] * 1000 + time[2] / 1000 > tonumber(deadline) then return {'late', 0, 0} end\n",
        "",
    ),
    _bug(
        "retries-on",
        "redis-py repeats by itself what may have been done",
        "tests/stores/test_redis_client.py",
        "app/stores/redis.py",
        "        health_check_interval=0,\n        retry=Retry(NoBackoff(), 0),\n",
        "        health_check_interval=0,\n        retry=Retry(NoBackoff(), 10),\n",
    ),
    _bug(
        "commit-before-effect",
        "the aggregator tells Kafka that it is done before the tables have it",
        "tests/workers/test_aggregator.py",
        "workers/aggregator.py",
        _WRITTEN,
        "        self._commit({place: records[-1].offset for place, records in batches.items()})\n"
        + _WRITTEN,
    ),
    _bug(
        "offset-is-not-a-low-watermark",
        "the committed offset passes events that only a window holds",
        "tests/contract/test_window_crashes.py",
        "app/stores/scripts/applied.lua",
        "return math.min(offset + 1, tonumber(lowest[2] or offset + 1))",
        "return offset + 1",
    ),
    _bug(
        "settle-before-write",
        "the flusher deletes its windows before their rows are written",
        "tests/workers/test_flusher.py",
        "workers/flusher.py",
        _FLUSHED,
        "        self._windows.settle(closings)\n" + _FLUSHED,
    ),
    _bug(
        "windows-expire",
        "a window has a time to live",
        "tests/contract/test_window_store.py",
        "app/stores/scripts/gather.lua",
        "    redis.call('HSET', window, member, seq .. ' gathered ' .. payload)\n",
        "    redis.call('HSET', window, member, seq .. ' gathered ' .. payload)\n"
        "    redis.call('EXPIRE', window, 600)\n",
    ),
    _bug(
        "trim-by-length",
        "the ingress keeps its newest entries only",
        "tests/contract/test_wishes.py",
        "app/stores/scripts/wish.lua",
        "redis.call('XADD', KEYS[4], '*',",
        "redis.call('XADD', KEYS[4], 'MAXLEN', 5, '*',",
    ),
    _bug(
        "settle-what-came-later",
        "a closed window takes with it what arrived after it was claimed",
        "tests/contract/test_window_store.py",
        "app/stores/scripts/settle.lua",
        "    redis.call('DEL', KEYS[i])\n",
        "    redis.call('DEL', KEYS[i])\n"
        "    redis.call('DEL', 'window:' .. string.match(KEYS[i], '^closing:(.+):%d+$'))\n",
    ),
    _bug(
        "newer-overtakes-the-queue",
        "with Kafka back, new events go ahead of those that wait",
        "tests/workers/test_bridge.py",
        "workers/bridge.py",
        "        shard.spilling = bool(rows)\n",
        "        shard.spilling = False\n",
    ),
    _bug(
        "critical-behind-the-lane",
        "codes travel with marketing",
        "tests/domain/test_routing.py",
        "app/domain/routing.py",
        "def topic_of(event: Event) -> Topic:\n",
        "def topic_of(event: Event) -> Topic:\n    return Topic.LOW\n\n\n"
        "def _topic_of(event: Event) -> Topic:\n",
    ),
    _bug(
        "critical-by-the-lanes-alone",
        "a code waits for Redis, Kafka and four workers",
        "tests/streams/test_critical.py",
        "app/actions.py",
        "        if event.kind in CRITICAL_KINDS:\n",
        "        if event.kind in CRITICAL_KINDS and not event.message:\n",
    ),
    _bug(
        "nobody-rings",
        "web processes hear of critical frames by Redis alone",
        "tests/streams/test_critical.py",
        "app/stores/urgency.py",
        "    select pg_notify(:channel, who || ' ' || seq)\n",
        "    select pg_notify('nobody' || left(:channel, 0), who || ' ' || seq)\n",
    ),
    _bug(
        "each-copy-is-shown",
        "a frame that comes by three ways rings three times",
        "tests/test_heard.py tests/test_crier.py",
        "app/heard.py",
        "    if one in told:\n        return False\n",
        "",
    ),
    _bug(
        "overtaken-frames-are-lost",
        "a critical frame does not wait for those before it",
        "tests/test_crier.py",
        "app/crier.py",
        '            self._fill(user_id, seq - 1 if last is None else min(last, seq - 1), "notify")\n',
        '            self._fill(user_id, seq - 1, "notify")\n',
    ),
    _bug(
        "commit-before-emit",
        "the deliverer is done with frames before it has emitted them",
        "tests/workers/test_deliverer.py",
        "workers/deliverer.py",
        '        reach("deliverer.polled")\n',
        '        reach("deliverer.polled")\n'
        "        self._subscriber.commit(positions(self._waiting))\n",
    ),
    _bug(
        "published-before-publishing",
        "the relay ticks frames off before Kafka has them",
        "tests/streams/test_relay.py",
        "app/streams/relay.py",
        "        refused = self._publish(rows)\n",
        '        with asking_postgres("settle the outbox"), self._engine.begin() as sql:\n'
        '            sql.execute(_PUBLISHED, {"ids": [row[0] for row in rows]})\n'
        "        refused = self._publish(rows)\n",
    ),
    _bug(
        "no-retry-after",
        "a 503 does not say when to come again",
        "tests/blueprints/test_likes.py",
        "blueprints/errors.py",
        '    answer.headers["Retry-After"] = RETRY_AFTER_SECONDS\n',
        "",
    ),
    _bug(
        "poison-stops-the-lane",
        "a record that cannot be read is tried again for ever",
        "tests/workers/test_aggregator.py",
        "workers/aggregator.py",
        "            except Poisoned as reason:\n",
        "            except Poisoned as reason:\n                raise\n",
    ),
    _bug(
        "the-queue-costs-nothing",
        "who waited for a connection waits as long again for its replacement",
        "tests/test_patience.py",
        "app/stores/postgres.py",
        "        with waiting():\n            return super()._do_get()\n",
        "        return super()._do_get()\n",
    ),
    _bug(
        "the-gate-closes-in-silence",
        "a process goes on answering by Redis when another speaks past it",
        "tests/workers/test_the_gate_is_heard.py",
        "app/stores/gate.py",
        '                sql.execute(WAKE, {"channel": CHANNEL})\n'
        '                log.warning("The gate is closed: %s", reason)\n',
        '                log.warning("The gate is closed: %s", reason)\n',
    ),
    _bug(
        "a-lock-around-a-lease",
        "who is frozen while it asks for a lease keeps all others waiting",
        "tests/stores/test_leases.py",
        "app/stores/leases.py",
        "        self._engine = at_once(engine)\n",
        "        self._engine = engine\n",
    ),
    _bug(
        "given-up-and-still-asking",
        "a producer that was given up goes on asking for brokers",
        "tests/infra/test_three_brokers.py",
        "app/streams/kafka.py",
        "    producer._sender.force_close()\n",
        "",
    ),
    _bug(
        "own-writes-unseen",
        "counts are read from the tables, where rows arrive a window later",
        "nothing-broken",
        "app/stores/memberships.py",
        "        known, trusted = self._known(subject, viewer_id, ids)\n",
        "        known, trusted = self._known(subject, viewer_id, ids)\n        known = {}\n",
    ),
)
