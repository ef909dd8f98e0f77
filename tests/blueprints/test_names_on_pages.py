"""A name on a page does not change the direction of the words around it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.stores.users import Users
from app.wiring import Parts
from tests.blueprints.stage import Cast
from tests.blueprints.stage import app as app
from tests.blueprints.stage import cast as cast
from tests.blueprints.stage import parts as parts
from tests.blueprints.test_forms import sign_in

pytestmark = pytest.mark.service
HEBREW = "דנה"
PAGES = ("/", "/users/{username}", "/users/{username}/followers", "/posts/{post}", "/preferences")


@pytest.fixture
def reader(client: FlaskClient, cast: Cast, parts: Parts) -> FlaskClient:
    Users(parts.engine).change(cast.owner, HEBREW, None, None)
    sign_in(client, cast.email)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_a_right_to_left_name_is_isolated_wherever_it_stands(
    app: Flask, reader: FlaskClient, cast: Cast, page: str
) -> None:
    path = page.format(username=f"owner_{cast.owner[-12:]}", post=cast.post)

    shown = reader.get(path).text

    # Initials are one letter; a field's value holds the name as it is typed.
    alone = shown.replace(f"<bdi>{HEBREW}</bdi>", "").replace(f"\u2068{HEBREW}\u2069", "")
    alone = alone.replace(f'value="{HEBREW}"', "")
    assert HEBREW in shown
    assert HEBREW not in alone


def test_a_left_to_right_name_has_no_invisible_characters(
    reader: FlaskClient, cast: Cast, parts: Parts
) -> None:
    Users(parts.engine).change(cast.owner, "Dana", None, None)

    shown = reader.get(f"/users/owner_{cast.owner[-12:]}").text

    assert "<title>Dana" in shown
    assert "\u2068" not in shown
