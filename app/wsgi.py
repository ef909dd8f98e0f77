"""gunicorn's entry: patched before anything else is imported, then the application."""

from app.green import patch, wait_with

patch()

import gevent

from app import logs
from app.direct import heed
from app.patience import RequestPatience
from app.settings import load
from app.stores.bell import Bell
from app.stores.gate import CHANNEL
from app.user_agents import prepare
from app.web import create_app
from app.wiring import build

prepare()
wait_with(RequestPatience())
logs.redact_tracebacks()
settings = load()
parts = build(settings)
app = create_app(parts)
app.extensions["sockets"].start()
app.extensions["revocations"].start(app.extensions["sockets"].sweep)
gevent.spawn(heed, Bell(settings.addresses.database_url, CHANNEL), parts.gate)
