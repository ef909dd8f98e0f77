"""gunicorn's entry point: patches the standard library, then builds the application and starts its
background tasks."""

from app.clients.gevent_setup import patch_all, set_postgres_timeout_budget

patch_all()

import gevent

from app import log_config
from app.accounts.user_agents import warm_up_parser
from app.bootstrap import build_shared_services, create_critical_engine
from app.clients.pg_notify import PgNotifyListener
from app.clients.request_deadline import RequestPostgresTimeoutBudget
from app.failover.redis_failover import NOTIFY_CHANNEL
from app.ingest.failover_path import forward_failover_changes_forever
from app.settings import load_settings
from app.web import create_app
from app.web_services import build_local_sockets
from blueprints.registration import register_blueprints

warm_up_parser()
set_postgres_timeout_budget(RequestPostgresTimeoutBudget())
log_config.redact_greenlet_tracebacks()
settings = load_settings()
critical_engine = create_critical_engine(settings)
local_sockets = build_local_sockets(settings, critical_engine)
services = build_shared_services(
    settings, critical_engine, local_sockets.dispatcher.deliver_just_written_critical_event
)
web_application = create_app(services, local_sockets, register_blueprints)
app = web_application.flask_app
web_application.web_services.start_background_tasks()
gevent.spawn(
    forward_failover_changes_forever,
    PgNotifyListener(settings.service_urls.database_url, NOTIFY_CHANNEL),
    services.redis_failover,
)
