"""The process of a storm: python -m app.devtools.storm.runner FOLDER

Started by storms.py, from the page or from the terminal. Warms up both ways, then runs one after the other,
with the same load on the same machine, and writes the progress and the result to the folder. Ends by itself
after a time limit.
"""

import logging
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
import uuid_utils
from sqlalchemy.exc import SQLAlchemyError

from app.clients import circuit_breaker
from app.clients.postgres import WORKER_STATEMENT_TIMEOUT_MS, create_pg_engine
from app.clients.redis import create_redis_client
from app.devtools.storm import people, row_per_like
from app.devtools.storm.comparison import PIPELINE, ROW_PER_LIKE, compare, remarks
from app.devtools.storm.drain import Drain
from app.devtools.storm.ledger import StormStores
from app.devtools.storm.measurements import STATISTICS_DELAY_SECONDS, write_checkpoint
from app.devtools.storm.options import StormOptions
from app.devtools.storm.requests import build_feed_request, build_requests
from app.devtools.storm.storms import CANCELLED, DONE, FAILED, StormFolder
from app.devtools.storm.warm_up import WARM_UP_PEOPLE, WarmUp
from app.devtools.storm.way import MAX_DRAIN_SECONDS, MAX_LATE_SECONDS, ServerAddress, StormWay
from app.domain.clock import TimeAndIdSource
from app.domain.errors import Rejected, Unavailable
from app.operations.open_windows import OpenWindows
from app.setting_readers import SettingsError
from app.settings import Settings, load_settings
from app.social.removals import PostAndAccountRemoval

log = logging.getLogger(__name__)
OVERHEAD_SECONDS = 300.0
"""For people, posts and their removal, the warm-up and the statistics of PostgreSQL."""
CANCEL_CHECK_INTERVAL_SECONDS = 0.5
CLEAN_UP_ATTEMPTS, CLEAN_UP_PAUSE_SECONDS = 5, 3.0
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on
FAILURES = (Unavailable, Rejected, SQLAlchemyError, redis.RedisError, RuntimeError, OSError)
_PHASES = {ROW_PER_LIKE: "Running one row per like", PIPELINE: "Running the pipeline"}


class StormCancelled(Exception):
    """Somebody cancelled the storm."""


class StormRunner:
    def __init__(self, folder: StormFolder, settings: Settings) -> None:
        urls = settings.service_urls
        self._folder = folder
        self._settings = settings
        self._state = folder.read_state()
        self._options = StormOptions(**self._state["options"])
        self._engine = create_pg_engine(urls.database_url, WORKER_STATEMENT_TIMEOUT_MS, "storm")
        self._redis = create_redis_client(urls.redis_url)
        self._removals = PostAndAccountRemoval(
            self._engine, self._redis, TimeAndIdSource(time.time, lambda: str(uuid_utils.uuid7()))
        )

    @property
    def max_seconds(self) -> float:
        per_way = self._options.offer_seconds + MAX_LATE_SECONDS + MAX_DRAIN_SECONDS
        return OVERHEAD_SECONDS + 2 * (per_way + self._max_window_seconds)

    def run(self) -> None:
        """Raises nothing that is expected; the state says how it ended, also if it dies while it removes the
        posts."""
        self._state["outcome"] = self._run_or_describe_failure()
        self._set_phase("Removing the posts of the storm")
        self._clean_up()
        self._folder.request_log_path.unlink(missing_ok=True)
        self._state |= self._state.pop("outcome") | {"phase": ""}
        self._folder.write_state(self._state)

    def _run_or_describe_failure(self) -> dict[str, Any]:
        try:
            self._run_both_ways()
        except StormCancelled:
            return {"state": CANCELLED}
        except FAILURES as exc:
            log.exception("The storm failed", extra={"event": "storm_failed"})
            return {"state": FAILED, "error": str(exc).splitlines()[0] if str(exc) else type(exc).__name__}
        return {"state": DONE}

    def _run_both_ways(self) -> None:
        self._set_phase("Creating people and posts")
        self._remove_leftovers()
        all_people = people.ensure_people(self._engine, self._options.people + WARM_UP_PEOPLE)
        people_ids, warm_up_people = all_people[: self._options.people], all_people[self._options.people :]
        author_id, post_ids = people.create_author(self._engine, self._options.posts)
        warm_up_author_id, warm_up_posts = people.create_author(self._engine, 1)
        row_per_like.create_tables(self._engine, post_ids + warm_up_posts)
        self._warm_up(warm_up_people, warm_up_author_id, warm_up_posts)
        names = (PIPELINE, ROW_PER_LIKE) if self._options.pipeline_first else (ROW_PER_LIKE, PIPELINE)
        for name in names:
            self._set_phase(_PHASES[name])
            self._run_way(name, people_ids, author_id, post_ids)
        figures = [self._state["ways"][name]["figures"] for name in (ROW_PER_LIKE, PIPELINE)]
        self._state["comparison"] = compare(*figures)
        self._state["remarks"] = remarks(self._state["comparison"], *figures)

    def _warm_up(self, people_ids: list[str], author_id: str, post_ids: list[str]) -> None:
        self._set_phase("Warming up both ways")
        WarmUp(
            self._server_address(),
            StormStores(self._engine, self._redis, "public", author_id, post_ids, announces=True),
            OpenWindows(self._redis),
            self._settings.web.jwt_secret_key,
            self._pause,
        ).run(people_ids)
        self._pause(STATISTICS_DELAY_SECONDS)

    def _run_way(self, name: str, people_ids: list[str], author_id: str, post_ids: list[str]) -> None:
        is_pipeline = name == PIPELINE
        schema = "public" if is_pipeline else row_per_like.SCHEMA
        secret = self._settings.web.jwt_secret_key
        requests = build_requests(name, self._options, people_ids, post_ids, secret)
        write_checkpoint(self._engine)
        way = StormWay(
            name,
            self._options,
            self._server_address(),
            Drain(
                StormStores(self._engine, self._redis, schema, author_id, post_ids, is_pipeline),
                OpenWindows(self._redis),
                self._options.close_windows,
                self._folder.request_log_path,
            ),
            self._folder,
            self._max_window_seconds,
            self._report_progress,
            self._pause,
        )
        self._state["ways"][name] = way.run(requests, build_feed_request(people_ids[0], secret))
        self._folder.write_state(self._state)

    def _server_address(self) -> ServerAddress:
        web = self._settings.web
        return ServerAddress("127.0.0.1" if web.host in ANY_ADDRESS else web.host, web.port)

    @property
    def _max_window_seconds(self) -> float:
        rules = self._settings.window_rules
        return rules.window_seconds + rules.jitter_seconds

    def _report_progress(self, sample: dict[str, Any]) -> None:
        self._folder.append_sample(sample)
        self._raise_if_cancelled()

    def _pause(self, seconds: float) -> None:
        """Raises StormCancelled."""
        deadline = time.monotonic() + seconds
        while (remaining_seconds := deadline - time.monotonic()) > 0:
            time.sleep(min(CANCEL_CHECK_INTERVAL_SECONDS, remaining_seconds))
            self._raise_if_cancelled()

    def _raise_if_cancelled(self) -> None:
        if self._folder.is_cancelled:
            raise StormCancelled

    def _set_phase(self, phase: str) -> None:
        self._state["phase"] = phase
        self._folder.write_state(self._state)

    def _clean_up(self) -> None:
        """What cannot be removed now is removed by the next storm."""
        for _ in range(CLEAN_UP_ATTEMPTS):
            with suppress(*FAILURES):
                self._remove_leftovers()
                return
            time.sleep(CLEAN_UP_PAUSE_SECONDS)
        log.warning("The posts of the storm could not be removed", extra={"event": "storm_not_removed"})

    def _remove_leftovers(self) -> None:
        row_per_like.drop_tables(self._engine)
        people.remove_authors(self._engine, self._removals)


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.WARNING)
    folder = StormFolder(Path(arguments[0]))
    try:
        settings = load_settings()
        if not settings.web.is_testing:
            raise SettingsError("A storm needs APP_MODE=testing")
    except SettingsError as exc:
        folder.write_state(folder.read_state() | {"state": FAILED, "error": str(exc)})
        return 1
    # A stopped service is asked again every second, so that its return is seen at once.
    circuit_breaker.configure_all_breakers(failure_threshold=5, reset_seconds=1.0)
    runner = StormRunner(folder, settings)
    signal.alarm(int(runner.max_seconds))  # ends the process
    runner.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
