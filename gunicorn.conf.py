"""gunicorn settings: one process per port, because sockets need all requests of a client in one process."""

from app.clients.gevent_setup import patch_all

patch_all()  # first: gunicorn's worker would patch only after the application's imports

import gc

import gevent

from app import log_config
from app.clients.redis_server_check import exit_if_too_old
from app.settings import load_settings

settings = load_settings()
log_config.configure_logging(settings.log_level, settings.log_format)
log_config.withhold_values(settings.service_urls.passwords())
exit_if_too_old(settings.service_urls.redis_url)
gevent.get_hub().destroy(destroy_loop=True)  # of the check: the worker process gets one of its own

worker_class = "app.gunicorn_worker.GracefulGeventWorker"
workers = 1
worker_connections = 4_000
bind = settings.web.bind_address
keepalive = 15
timeout = 30
graceful_timeout = 4  # a last request arrives within 1.2 s and takes less than two (request_deadline.py)
accesslog = None
logger_class = "app.gunicorn_worker.PropagatingLogger"
loglevel = "warning"
# Not used here, and two systems of one user would share its path.
control_socket_disable = True


def post_worker_init(_: object) -> None:
    """Keeps the garbage collector from going through 150,000 start-up objects each time: 0.1 s (measured)."""
    gc.collect()
    gc.freeze()
