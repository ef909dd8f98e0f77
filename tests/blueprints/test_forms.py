"""The pages' forms: none acts without its session and its CSRF field, or on what is another's."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.wiring import Parts
from tests.blueprints.stage import PASSWORD, Cast
from tests.blueprints.stage import app as app
from tests.blueprints.stage import cast as cast
from tests.blueprints.stage import parts as parts

pytestmark = pytest.mark.service


def forms(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if "POST" in (rule.methods or ()) and not rule.rule.startswith("/api/"):
            yield rule.rule


def filled(rule: str, cast: Cast) -> str:
    known = {
        "post_id": cast.post,
        "comment_id": cast.comment,
        "username": f"owner_{cast.owner[-12:]}",
    }
    return re.sub(r"<(\w+)>", lambda found: known[found[1]], rule)


def csrf(client: FlaskClient) -> str:
    found = re.search(r'name="csrf" content="([^"]+)"', client.get("/login").text)
    assert found
    return found[1]


def sign_in(client: FlaskClient, email: str) -> str:
    """The CSRF token of the new session."""
    given = {"csrf": csrf(client), "email": email, "password": PASSWORD}
    assert client.post("/login", data=given).status_code == 303
    found = re.search(r'name="csrf" content="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def test_no_form_acts_for_the_anonymous_or_without_its_field(
    app: Flask, client: FlaskClient, cast: Cast
) -> None:
    every = sorted(set(forms(app)))
    every.remove("/unsubscribe/<token>")  # its link is the authority (test_unsubscribe.py)
    assert {"/posts", "/preferences", "/profile", "/theme", "/password/reset"} <= set(every)

    strangers = {rule: client.post(filled(rule, cast)).status_code for rule in every}
    sign_in(client, cast.email)
    forged = {rule: client.post(filled(rule, cast)).status_code for rule in every}

    assert {rule: one for rule, one in strangers.items() if one not in (401, 403)} == {}
    assert {rule: one for rule, one in forged.items() if one != 403} == {}


@pytest.mark.parametrize("path", ["/posts/{post}/delete", "/comments/{comment}/delete"])
def test_what_is_anothers_stays(client: FlaskClient, cast: Cast, path: str) -> None:
    token = sign_in(client, f"other_{cast.other[-12:]}@example.org")
    answer = client.post(path.format(**vars(cast)), data={"csrf": token})
    assert answer.status_code == 403
    assert client.get(f"/api/posts/{cast.post}").status_code == 200


def test_a_form_leads_back_within_the_site_only(
    parts: Parts, client: FlaskClient, cast: Cast
) -> None:
    token = sign_in(client, cast.email)
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        sent = {"csrf": token, "back": back, "theme": "dark"}
        assert client.post("/theme", data=sent).headers["Location"] == "/"


def test_a_mention_in_a_text_cannot_carry_markup(client: FlaskClient, cast: Cast) -> None:
    token = sign_in(client, cast.email)
    said = '"><script>alert(1)</script> @someone_else'
    client.post("/posts", data={"csrf": token, "caption": said})
    page = client.get("/").text
    assert "<script>alert" not in page
    assert '<a href="/users/someone_else">@someone_else</a>' in page


def test_emptied_quiet_hours_stay_empty_and_only_zones_that_name_places_are_offered(
    client: FlaskClient, cast: Cast
) -> None:
    token = sign_in(client, cast.email)
    given = {
        "csrf": token,
        "dndEnabled": "on",
        "dndStartTime": "",
        "dndEndTime": "",
        "timezone": "UTC",
    }

    assert client.post("/preferences", data=given).status_code == 303

    page = client.get("/preferences").text
    assert 'data-choice="dndStartTime" value=""' in page
    assert 'data-choice="dndEndTime" value=""' in page
    assert "Now: everything rings at once" in page
    offered = set(re.findall(r"<option(?: selected)?>([^<]+)</option>", page))
    assert "Europe/Berlin" in offered
    assert not {"localtime", "Factory", "posixrules"} & offered
