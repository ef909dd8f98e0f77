"""Creates all blueprints with their collaborators and registers them with the Flask application."""

from flask import Blueprint, Flask

from app.delivery.links import NotificationLinks
from app.devtools.demo_people import DemoPeople
from app.operations.event_waterfalls import EventWaterfalls
from app.social.suppressed_events import SuppressedEventStore
from app.web_services import WebServices
from blueprints.admin import activity_search, admin_queues, database_viewer, mail, operations, pipeline
from blueprints.api import (
    auth,
    bookmarks,
    comments,
    events,
    figures,
    follows,
    health,
    likes,
    metrics,
    mutes,
    notification_status,
    notifications,
    openapi,
    passwords,
    posts,
    preferences,
    suppressed,
    users,
)
from blueprints.http import errors
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.devices import RequestDevices
from blueprints.http.idempotency import IdempotentRequests
from blueprints.http.openapi_document import OpenApiDocument
from blueprints.http.request_auth import RequestAuth
from blueprints.http.serializers import PostSerializer
from blueprints.http.write_actions import WriteActions
from blueprints.pages import (
    admin_pages,
    demo_login,
    event_page,
    login_pages,
    not_told_page,
    notifications_page,
    page_context,
    password_reset_pages,
    post_forms,
    post_pages,
    preferences_page,
    profiles,
    unsubscribe,
    user_forms,
)
from blueprints.pages.csrf import protect_forms
from blueprints.pages.form_auth import FormAuth
from blueprints.pages.page_session import PageSessions
from blueprints.pages.post_cards import PostCards
from blueprints.testing import demo_people as demo_people_api
from blueprints.testing import event_demo, row_per_like, service_control, simulator, storms


class _SharedCollaborators:
    """What several blueprints take."""

    def __init__(self, web: WebServices) -> None:
        services, stores = web.services, web.stores
        self.request_auth = RequestAuth(
            web.access_tokens, web.auth.rate_limits, stores.users, services.settings.web.is_testing
        )
        self.write_actions = WriteActions(services.actions, web.redis_server_check, web.auth.new_id)
        self.idempotent_requests = IdempotentRequests(web.idempotency_keys, self.write_actions)
        self.devices = RequestDevices(services.settings.web)
        self.post_serializer = PostSerializer(services.memberships)
        self.notification_serializer = notifications.NotificationSerializer(stores.notifications)
        self.suppressed_views = suppressed.SuppressedEventViews(
            SuppressedEventStore(services.engine),
            web.admin.open_windows,
            stores.users,
            stores.posts,
            self.notification_serializer,
        )
        self.comment_trees = comments.CommentTrees(services.comments, stores.blocks, stores.users)
        self.likers = posts.Likers(services.memberships, stores.posts, stores.users, stores.blocks)
        self.follow_switches = follows.FollowSwitches(
            self.write_actions, services.memberships, stores.follows, stores.users, stores.blocks
        )
        self.user_directory = users.UserDirectory(
            stores.users, stores.blocks, services.memberships, stores.follows
        )
        self.demo_people = DemoPeople(
            stores.users, stores.posts, self.write_actions.checked, web.auth.password_hashing, web.auth.new_id
        )


def register_blueprints(app: Flask, web: WebServices) -> None:
    """Registers the error handlers and all blueprints; simulator and demo in testing mode only."""
    document, shared = OpenApiDocument(app), _SharedCollaborators(web)
    errors.register_error_handlers(app)
    routes = _api_blueprints(web, shared) + _admin_blueprints(web, shared)
    routes.append(openapi.blueprint(lambda: document.content))
    if web.services.settings.web.is_testing:
        routes += _testing_blueprints(web, shared)
    for api_blueprint in routes:
        document.register(api_blueprint)
    pages = _page_blueprints(web, shared)
    if web.services.settings.web.is_testing:
        pages.append(
            demo_login.blueprint(web.accounts, shared.devices, web.auth.rate_limits, shared.demo_people)
        )
    protect_forms(app, pages)
    for blueprint in (*pages, _unsubscribe_blueprint(web)):
        app.register_blueprint(blueprint)


def _api_blueprints(web: WebServices, shared: _SharedCollaborators) -> list[ApiBlueprint]:
    services, stores, web_settings = web.services, web.stores, web.services.settings.web
    request_auth, write_actions, serializer = (
        shared.request_auth,
        shared.write_actions,
        shared.notification_serializer,
    )
    return [
        auth.blueprint(web.accounts, web.access_tokens, request_auth, shared.devices, stores.users),
        passwords.blueprint(request_auth, shared.devices, web.credentials),
        posts.blueprint(
            request_auth,
            write_actions,
            shared.idempotent_requests,
            stores.posts,
            stores.users,
            shared.likers,
            services.removals,
            shared.post_serializer,
        ),
        likes.blueprint(request_auth, write_actions),
        comments.blueprint(
            request_auth,
            write_actions,
            shared.idempotent_requests,
            stores.users,
            stores.blocks,
            shared.comment_trees,
        ),
        follows.blueprint(
            request_auth, shared.follow_switches, services.memberships, stores.follows, stores.blocks
        ),
        users.blueprint(
            request_auth, stores.users, shared.user_directory, web.auth.password_hashing, services.removals
        ),
        bookmarks.blueprint(request_auth, stores.bookmarks, stores.posts, shared.post_serializer),
        mutes.blueprint(request_auth, write_actions, stores.mutes, stores.posts, shared.post_serializer),
        preferences.blueprint(request_auth, stores.preferences),
        notifications.blueprint(
            request_auth,
            stores.notifications,
            serializer,
            services.settings.window_rules,
            services.now,
        ),
        notification_status.blueprint(request_auth, stores.notification_status, serializer, services.now),
        suppressed.blueprint(request_auth, shared.suppressed_views),
        events.blueprint(shared.idempotent_requests, web.service_keys),
        health.blueprint(
            web.health,
            web.socket_server.count_connected_users,
            services.now,
        ),
        figures.blueprint(web.public_figures),
        metrics.blueprint(web.metrics, web_settings),
    ]


def _admin_blueprints(web: WebServices, shared: _SharedCollaborators) -> list[ApiBlueprint]:
    services, admin = web.services, web.admin
    return [
        database_viewer.blueprint(
            shared.request_auth,
            admin.database_viewer,
            admin.in_flight_events,
            admin.data_wipe,
            admin.fallback_queue,
            services.now,
        ),
        operations.blueprint(
            shared.request_auth,
            admin.open_windows,
            admin.database_viewer.find_names_by_ids,
            admin.audit_log,
            admin.open_delivery_log,
        ),
        pipeline.blueprint(
            shared.request_auth,
            web.health,
            admin.event_traces,
            admin.pipeline_history,
            services.now,
        ),
        activity_search.blueprint(
            shared.request_auth,
            admin.event_search,
            admin.event_traces,
            admin.notification_search,
            web.stores.users,
            web.stores.posts,
        ),
        mail.blueprint(shared.request_auth, admin.mail_list),
        admin_queues.blueprint(shared.request_auth, admin.queues),
    ]


def _page_blueprints(web: WebServices, shared: _SharedCollaborators) -> list[Blueprint]:
    services, stores, settings = web.services, web.stores, web.services.settings
    is_testing, write_actions = settings.web.is_testing, shared.write_actions
    sessions = PageSessions(web.auth.sessions, stores.users)
    form_auth = FormAuth(sessions, web.auth.rate_limits)
    post_cards = PostCards(shared.post_serializer, services.memberships, stores.bookmarks)
    return [
        page_context.blueprint(sessions, stores.notifications, stores.users, is_testing),
        post_pages.blueprint(
            sessions,
            stores.posts,
            stores.bookmarks,
            shared.comment_trees,
            shared.likers,
            services.memberships,
            shared.post_serializer,
            post_cards,
        ),
        profiles.blueprint(
            sessions,
            stores.users,
            stores.posts,
            stores.mutes,
            shared.user_directory,
            services.memberships,
            stores.follows,
            post_cards,
        ),
        notifications_page.blueprint(
            sessions, stores.notifications, shared.notification_serializer, services.now
        ),
        not_told_page.blueprint(sessions, stores.users, stores.posts, shared.suppressed_views),
        admin_pages.blueprint(sessions, stores.users, is_testing, settings.window_rules),
        event_page.blueprint(
            sessions, stores.users, EventWaterfalls(web.admin.event_traces, web.admin.in_flight_events)
        ),
        login_pages.blueprint(sessions, web.accounts, web.access_tokens, shared.devices),
        password_reset_pages.blueprint(web.credentials, shared.devices),
        post_forms.blueprint(
            form_auth,
            write_actions,
            stores.users,
            stores.bookmarks,
            stores.notification_status,
            services.removals,
        ),
        user_forms.blueprint(form_auth, write_actions, shared.follow_switches, stores.users, stores.mutes),
        preferences_page.blueprint(
            sessions, form_auth, stores.preferences, stores.mutes, stores.posts, services.now
        ),
    ]


def _unsubscribe_blueprint(web: WebServices) -> Blueprint:
    """Without CSRF protection: the link is the authority."""
    settings, stores = web.services.settings, web.stores
    links = NotificationLinks(settings.web.secret_key, settings.public_url)
    return unsubscribe.blueprint(links, stores.preferences, stores.users)


def _testing_blueprints(web: WebServices, shared: _SharedCollaborators) -> list[ApiBlueprint]:
    services, stores, request_auth = web.services, web.stores, shared.request_auth
    simulator_users = simulator.Simulator(
        shared.write_actions, web.simulated_users, web.auth.password_hashing, services.now
    )
    return [
        simulator.blueprint(
            request_auth,
            simulator_users,
            web.simulated_users,
            stores.posts,
            stores.users,
            services.settings.window_rules,
        ),
        event_demo.blueprint(
            request_auth,
            shared.write_actions,
            simulator_users,
            stores.posts,
            stores.users,
            web.admin.event_traces,
        ),
        service_control.blueprint(request_auth, web.service_control, web.worker_control),
        demo_people_api.blueprint(request_auth, shared.devices, web.auth.rate_limits, shared.demo_people),
        storms.blueprint(request_auth, web.storms),
        row_per_like.blueprint(request_auth, web.row_per_like),
    ]
