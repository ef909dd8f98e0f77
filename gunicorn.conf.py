"""gunicorn: one process per port (sockets stick to it); more processes make more of it."""

from app.green import patch

patch()  # in the first lines: the worker's own patch would come after the application's imports

import gevent
from gunicorn.workers.ggevent import GeventWorker

from app.settings import load

settings = load()

worker_class = "gevent"
workers = 1
worker_connections = 4_000
bind = f"{settings.web.host}:{settings.web.port}"
keepalive = 15
timeout = 30
graceful_timeout = 2  # no request takes longer (app/patience.py)
accesslog = None
loglevel = "warning"
# Nobody of ours speaks through it, and two systems of one user would share its path.
control_socket_disable = True


def post_worker_init(worker: GeventWorker) -> None:
    """Sockets never end by themselves: at the stop we end them, and clients connect elsewhere."""
    gevent.spawn(_close_sockets_at_the_end, worker)


def _close_sockets_at_the_end(worker: GeventWorker) -> None:
    while worker.alive:
        gevent.sleep(0.1)
    worker.wsgi.extensions["sockets"].stop()
