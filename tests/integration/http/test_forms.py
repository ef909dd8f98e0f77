"""HTML forms need a session and a CSRF token, and cannot change what belongs to another user."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from tests.support.api_user import sign_in
from tests.support.real_store_app import RouteTestData
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data

pytestmark = pytest.mark.service


def forms(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if "POST" in (rule.methods or ()) and not rule.rule.startswith("/api/"):
            yield rule.rule


def filled(rule: str, route_data: RouteTestData) -> str:
    value_by_name = {
        "post_id": route_data.post,
        "comment_id": route_data.comment,
        "username": f"owner_{route_data.owner[-12:]}",
    }
    return re.sub(r"<(\w+)>", lambda match: value_by_name[match[1]], rule)


def test_form_without_session_or_csrf_field_is_refused(
    app: Flask, client: FlaskClient, route_data: RouteTestData
) -> None:
    rules = sorted(set(forms(app)))
    rules.remove("/unsubscribe/<token>")  # its link is the authority (test_unsubscribe.py)
    assert {"/posts", "/preferences", "/profile", "/theme", "/password/reset"} <= set(rules)

    status_without_session = {rule: client.post(filled(rule, route_data)).status_code for rule in rules}
    sign_in(client, route_data.email)
    status_without_csrf = {rule: client.post(filled(rule, route_data)).status_code for rule in rules}

    assert {rule: status for rule, status in status_without_session.items() if status not in (401, 403)} == {}
    assert {rule: status for rule, status in status_without_csrf.items() if status != 403} == {}


@pytest.mark.parametrize("path", ["/posts/{post}/delete", "/comments/{comment}/delete"])
def test_form_cannot_change_data_of_another_user(
    client: FlaskClient, route_data: RouteTestData, path: str
) -> None:
    token = sign_in(client, f"other_{route_data.other[-12:]}@example.org")
    response = client.post(path.format(**vars(route_data)), data={"csrf": token})
    assert response.status_code == 403
    assert client.get(f"/api/posts/{route_data.post}").status_code == 200


def test_form_redirects_within_the_site_only(
    app_services: SharedServices, client: FlaskClient, route_data: RouteTestData
) -> None:
    token = sign_in(client, route_data.email)
    for return_path in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        fields = {"csrf": token, "return_path": return_path, "theme": "dark"}
        assert client.post("/theme", data=fields).headers["Location"] == "/"


def test_markup_before_a_mention_is_escaped(client: FlaskClient, route_data: RouteTestData) -> None:
    token = sign_in(client, route_data.email)
    caption = '"><script>alert(1)</script> @someone_else'
    client.post("/posts", data={"csrf": token, "caption": caption})
    page = client.get("/").text
    assert "<script>alert" not in page
    assert '<a href="/users/someone_else">@someone_else</a>' in page


def test_emptied_quiet_hours_stay_empty_and_zones_without_place_are_not_offered(
    client: FlaskClient, route_data: RouteTestData
) -> None:
    token = sign_in(client, route_data.email)
    fields = {
        "csrf": token,
        "dndEnabled": "on",
        "dndStartTime": "",
        "dndEndTime": "",
        "timezone": "UTC",
    }

    assert client.post("/preferences", data=fields).status_code == 303

    page = client.get("/preferences").text
    assert 'data-preference="dndStartTime" value=""' in page
    assert 'data-preference="dndEndTime" value=""' in page
    assert "Now: notifications arrive at once" in page
    offered_zones = set(re.findall(r"<option(?: selected)?>([^<]+)</option>", page))
    assert "Europe/Berlin" in offered_zones
    assert not {"localtime", "Factory", "posixrules"} & offered_zones
