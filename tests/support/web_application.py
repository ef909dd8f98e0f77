"""Creates the web application as app/wsgi.py does, without starting its background tasks."""

from app.bootstrap import SharedServices
from app.web import WebApplication, create_app
from app.web_services import build_local_sockets
from blueprints.registration import register_blueprints


def create_web_application(services: SharedServices) -> WebApplication:
    local_sockets = build_local_sockets(services.settings, services.critical_engine)
    return create_app(services, local_sockets, register_blueprints)
