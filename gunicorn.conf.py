"""gunicorn: one process per port (sockets stick to it); more processes make more of it."""

from app.green import patch

patch()  # in the first lines: the worker's own patch would come after the application's imports

from app import logs
from app.settings import load

settings = load()
logs.set_up(settings.log_level, settings.log_format)

worker_class = "app.web_worker.WebWorker"
workers = 1
worker_connections = 4_000
bind = settings.web.bind
keepalive = 15
timeout = 30
graceful_timeout = 4  # a last request comes within 1.2 s and takes no two (patience.py)
accesslog = None
logger_class = "app.web_worker.WebLogger"
loglevel = "warning"
# Nobody of ours speaks through it, and two systems of one user would share its path.
control_socket_disable = True
