"""gunicorn's entry: patched before anything else is imported, then the application."""

from app.green import patch, wait_with

patch()

from app import logs
from app.patience import RequestPatience
from app.settings import load
from app.web import create_app
from app.wiring import build

wait_with(RequestPatience())
settings = load()
logs.set_up(settings.log_level, settings.log_format)
app = create_app(build(settings))
app.extensions["sockets"].start()
app.extensions["revocations"].start(app.extensions["sockets"].sweep)
