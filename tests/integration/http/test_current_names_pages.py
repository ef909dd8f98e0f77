"""A name on a page does not change the direction of the text around it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.bootstrap import SharedServices
from app.social.users import Users
from tests.support.api_user import sign_in
from tests.support.real_store_app import RouteTestData
from tests.support.real_store_app import app as app
from tests.support.real_store_app import app_services as app_services
from tests.support.real_store_app import route_data as route_data

pytestmark = pytest.mark.service
HEBREW = "דנה"
PAGES = ("/", "/users/{username}", "/users/{username}/followers", "/posts/{post}", "/preferences")


@pytest.fixture
def reader_client(
    client: FlaskClient, route_data: RouteTestData, app_services: SharedServices
) -> FlaskClient:
    Users(app_services.engine).update_profile(route_data.owner, HEBREW, None, None)
    sign_in(client, route_data.email)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_right_to_left_name_is_isolated_on_every_page(
    app: Flask, reader_client: FlaskClient, route_data: RouteTestData, page: str
) -> None:
    path = page.format(username=f"owner_{route_data.owner[-12:]}", post=route_data.post)

    shown = reader_client.get(path).text

    # Initials are one letter; a field's value holds the name as it is typed.
    alone = shown.replace(f"<bdi>{HEBREW}</bdi>", "").replace(f"\u2068{HEBREW}\u2069", "")
    alone = alone.replace(f'value="{HEBREW}"', "")
    assert HEBREW in shown
    assert HEBREW not in alone


def test_left_to_right_name_has_no_invisible_characters(
    reader_client: FlaskClient, route_data: RouteTestData, app_services: SharedServices
) -> None:
    Users(app_services.engine).update_profile(route_data.owner, "Dana", None, None)

    shown = reader_client.get(f"/users/owner_{route_data.owner[-12:]}").text

    assert "<title>Dana" in shown
    assert "\u2068" not in shown
