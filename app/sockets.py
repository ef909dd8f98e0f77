"""Sockets: who may connect, which rooms are theirs, what they missed.

In    Socket.IO, namespace / (contract 4); frames by way of app/listener.py
Out   joined, error, session_ended; rooms `user:{id}` and `signed-in`
Next  jinja/static/bell.js
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gevent
from flask import Flask, request
from flask_socketio import ConnectionRefusedError, SocketIO, emit, join_room, leave_room

from app import packets, slow_bodies
from app.acks import Acks
from app.crier import Crier, listen
from app.domain.errors import Rejected, Unavailable
from app.handshake import origins, since_of
from app.heard import Heard
from app.listener import Listener
from app.narrow import Narrow
from app.seals import Seals
from app.stores.bell import Bell
from app.stores.history import History, Missed, Since
from app.stores.seen import Seen
from app.stores.urgency import CRITICAL_CHANNEL
from app.streams.push import SIGNED_IN, room_of
from app.tokens import Claims, Tokens
from app.turns import Overdue, Turns
from app.wiring import Parts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)
SOCKETS_PATH = "/socket.io/"
SWEEP_SECONDS = 30.0
NAMELESS_SECONDS = 60.0
MAX_MESSAGE_BYTES = 64 * 1024
JOIN_SECONDS = 0.3
"""So long is waited for the join_room of a socket that gave its token at the handshake."""
REQUIRED, FOREIGN = "Authentication required", "User ID does not match token"


def _apart(sockets: "WSGIApplication", plain: "WSGIApplication") -> "WSGIApplication":
    """Socket.IO gets its own path and nothing else."""

    sockets = packets.checked(sockets, MAX_MESSAGE_BYTES)

    def application(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        slow_bodies.bound(environ)
        mine = environ.get("PATH_INFO", "").startswith(SOCKETS_PATH)
        return (sockets if mine else plain)(environ, start)

    return application


@dataclass(slots=True)
class Seat:
    """One connection. Without claims it receives nothing, and not for long."""

    eio_sid: str
    since: float
    claims: Claims | None = None
    joining: int = 0
    """How many of its join_room are being answered."""


class Sockets:
    def __init__(self, app: Flask, parts: Parts, tokens: Tokens) -> None:
        web = parts.settings.web
        self._seats: dict[str, Seat] = {}
        self._tokens = tokens
        self._history = History(parts.engine)
        self._turns = Turns()
        self._seals = Seals(web.secret_key)
        self.acks = Acks(Seen(parts.engine).record)
        self._heard = Heard()
        self._crier = Crier(History(parts.urgent), self._heard, self._emit)
        self._bell = Bell(parts.settings.addresses.database_url, CRITICAL_CHANNEL)
        parts.critical.here = self._crier.cry
        self._now: Callable[[], float] = parts.clock
        plain = app.wsgi_app
        self.io = SocketIO(
            app,
            async_mode="gevent",
            client_manager=Listener(
                parts.settings.addresses.redis_url,
                self._resumed,
                self._crier.takes,
                self._turns,
                self._seals.reveal,
            ),
            cors_allowed_origins=origins(web.cors_origins),
            ping_timeout=20,
            max_http_buffer_size=MAX_MESSAGE_BYTES,
            manage_session=False,
            serializer=packets.ClientPacket,
            # Without these both libraries add handlers of their own, past app/logs.py.
            logger=logging.getLogger("socketio"),
            engineio_logger=logging.getLogger("engineio"),
        )
        self._narrow = Narrow(self.io.server.eio)
        # Its middleware copies the environment of each request: a like has no use for that.
        app.wsgi_app = _apart(app.wsgi_app, plain)  # type: ignore[method-assign, assignment]
        self.io.on_event("connect", self._connect)
        self.io.on_event("disconnect", self._disconnect)
        self.io.on_event("join_room", self._join)
        self.io.on_event("leave_room", self._leave)
        self.io.on_event("notification_ack", self._ack)

    def start(self) -> None:
        """The sweep, and the ear for what is critical. Started by the entry point: tests have no
        greenlets they did not ask for."""
        gevent.spawn(self._sweep_for_ever)
        gevent.spawn(self._narrow.run)
        gevent.spawn(self.acks.run)
        gevent.spawn(listen, self._bell, self._crier)

    def people(self) -> int:
        """How many different people are connected to this process."""
        return len({seat.claims.user_id for seat in self._seats.values() if seat.claims})

    def close_all(self) -> None:
        """Ends the transports: a lost connection to clients, so they come back by themselves."""
        self._narrow.end_all()

    def stop(self) -> None:
        """The process ends: sockets connect elsewhere, and what they said is written down."""
        self.close_all()
        self.acks.flush()

    def sweep(self) -> int:
        """Closes those whose token is over and those who never said who they are."""
        now, closed = self._now(), 0
        for sid, seat in list(self._seats.items()):
            claims = seat.claims
            over = self._tokens.over(claims) if claims else now - seat.since > NAMELESS_SECONDS
            if over:
                self._tell_end(sid, claims)
                self.io.server.eio.disconnect(seat.eio_sid)
                closed += 1
        return closed

    def _tell_end(self, sid: str, claims: Claims | None) -> None:
        """Why it is closed, when a new token would not help: the page goes to the log-in page."""
        if claims and self._tokens.revoked(claims):
            self.io.emit("session_ended", {}, to=sid, ignore_queue=True)

    def _sweep_for_ever(self) -> None:
        while True:
            gevent.sleep(SWEEP_SECONDS)
            try:
                self.sweep()
            except Exception:  # one broken socket must not end the sweep for all others
                log.exception("A sweep failed")

    def _connect(self, auth: Any = None) -> None:
        sid = _sid()
        seat = Seat(self.io.server.manager.eio_sid_from_sid(sid, "/"), self._now())
        token = auth.get("token") if isinstance(auth, dict) else None
        if token is not None:
            try:
                seat.claims = self._tokens.read(token if isinstance(token, str) else "")
            except Rejected as fault:
                raise ConnectionRefusedError(str(fault)) from fault
        self._seats[sid] = seat
        if seat.claims:
            self._enter(seat.claims)
            gevent.spawn_later(JOIN_SECONDS, self._release, sid, seat)

    def _disconnect(self, *_: Any) -> None:
        gone = self._seats.pop(_sid(), None)
        user_id = gone.claims.user_id if gone and gone.claims else None
        if user_id:
            self._turns.forget(room_of(user_id), _sid())
        if user_id and not any(
            seat.claims and seat.claims.user_id == user_id for seat in self._seats.values()
        ):
            self._heard.forget(user_id)

    def _join(self, asked: Any = None) -> None:
        """`{userId, token?, since?}`; a token given at the handshake need not be repeated."""
        seat = self._seats.get(_sid())
        if seat is None:
            return
        try:
            claims = self._claims(asked, seat)
        except Rejected as fault:
            _refuse(str(fault))
            return
        seat.claims = claims
        # First the room, then the reading: what comes in between waits for its turn.
        self._enter(claims)
        since = asked.get("since") if isinstance(asked, dict) else None
        found: Missed | None = None
        seat.joining += 1
        try:
            found = self._missed(claims.user_id, since_of(since))
            self._tell_joined(claims.user_id, found)
        finally:
            seat.joining -= 1
            self._release(_sid(), seat, found)

    def _claims(self, asked: Any, seat: Seat) -> Claims:
        """Raises Rejected with the seed's sentences."""
        if not isinstance(asked, dict):
            raise Rejected(REQUIRED)
        token = asked.get("token")
        claims = seat.claims if token is None else self._tokens.read(str(token))
        if claims is None:
            raise Rejected(REQUIRED)
        if asked.get("userId") != claims.user_id:
            raise Rejected(FOREIGN)
        if seat.claims and seat.claims.user_id != claims.user_id:
            raise Rejected(FOREIGN)  # a connection speaks for one person
        return claims

    def _enter(self, claims: Claims) -> None:
        self._heard.begin(claims.user_id, None)
        self._turns.hold(room_of(claims.user_id), _sid())
        join_room(room_of(claims.user_id))
        join_room(SIGNED_IN)

    def _release(self, sid: str, seat: Seat, found: Missed | None = None) -> None:
        """What came while it joined, after what it missed."""
        if seat.joining or seat.claims is None:
            return
        room = room_of(seat.claims.user_id)
        told = found.seq if found and found.recovered else 0
        try:
            for event, data in self._turns.release(room, sid, told, found.badge if found else None):
                self.io.emit(event, data, to=sid, ignore_queue=True)
        except Overdue:
            self.io.server.eio.disconnect(seat.eio_sid)

    def _missed(self, user_id: str, since: Since | None) -> Missed:
        try:
            found = self._history.missed(user_id, since)
        except Unavailable as fault:
            # Live frames arrive all the same; the client loads the rest when it can.
            log.warning("Joined without a history: %s", fault)
            return Missed("", 0, False, ())
        self._heard.begin(user_id, found.seq)
        return found

    def _tell_joined(self, user_id: str, found: Missed) -> None:
        answer = {
            "userId": user_id,
            "socketId": _sid(),
            "epoch": found.epoch or None,
            "seq": found.seq if found.epoch else None,
            "recovered": found.recovered,
            "missed": [one | {"data": self._seals.reveal(one["data"])} for one in found.frames],
        }
        emit("joined", answer, ignore_queue=True)

    def _leave(self, _: Any = None) -> None:
        seat = self._seats.get(_sid())
        if seat and seat.claims:
            leave_room(room_of(seat.claims.user_id))

    def _ack(self, said: Any = None) -> None:
        """Becomes `seen` in the delivery log, in its own time."""
        seat = self._seats.get(_sid())
        if seat and seat.claims:
            self.acks.take(seat.claims.user_id, said)

    def _resumed(self, _: float) -> None:
        """The channel is back: all here get what was told meanwhile."""
        if self._heard.here():
            gevent.spawn(self._catch_up)

    def _catch_up(self) -> None:
        try:
            behind = self._crier.catch_up()
        except Unavailable as fault:
            log.warning("Closing sockets, so that they ask for what they missed: %s", fault)
            self.close_all()
            return
        log.debug("Live push is back; %d people were told what they missed", behind)

    def _emit(self, event: str, data: dict[str, Any], room: str) -> None:
        """To the sockets of this process alone."""
        self.io.emit(event, self._seals.reveal(data), to=room, ignore_queue=True)


def _sid() -> str:
    return str(request.sid)  # type: ignore[attr-defined]


def _refuse(sentence: str) -> None:
    emit("error", {"message": sentence}, ignore_queue=True)
