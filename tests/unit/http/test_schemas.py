"""What a request may say; the seed's sentences."""

from typing import Any

import pytest

from blueprints.api.auth import LoginBody, RegisterBody
from blueprints.api.comments import CommentBody
from blueprints.api.events import EventBody
from blueprints.api.notification_status import ReadAllBody
from blueprints.api.posts import PostBody
from blueprints.http.schemas import RequestSchema, ValidationFailed, validate_data
from blueprints.testing.simulator import SimulatePostActivityBody

ANN = {"email": "ann@example.org", "username": "ann", "password": "Passw0rd"}
ID = "01a20a11-d09a-71d1-afcb-471ee183a627"


@pytest.mark.parametrize(
    ("schema", "body", "message"),
    [
        (RegisterBody(), {}, "Email, username, and password are required"),
        (RegisterBody(), ANN | {"email": "ann"}, "Invalid email format"),
        (RegisterBody(), ANN | {"password": "Aa1"}, "Password must be at least 8 characters"),
        (
            RegisterBody(),
            ANN | {"password": "passw0rd"},
            "Password must contain at least one uppercase letter",
        ),
        (RegisterBody(), ANN | {"password": "Aa1" * 400}, "Password must be at most 1024 bytes"),
        (LoginBody(), {"email": "ann@example.org"}, "Email and password are required"),
        (PostBody(), {"imageUrl": "http://x.org/a"}, "imageUrl must be an https address"),
        (PostBody(), {"imageUrl": "javascript:x"}, "imageUrl must be an https address"),
        (PostBody(), {"caption": ["x"]}, "caption: Not a valid string."),
        (CommentBody(), {"postId": ID, "content": ""}, "PostId and content required"),
        (SimulatePostActivityBody(), {"postId": ID}, "postId and targetUserId are required"),
        (EventBody(), {"targetId": ID}, "Missing required fields"),
        (EventBody(), {"type": "OTP"}, "Missing required fields"),
        (
            EventBody(),
            {"type": "DIGEST", "targetId": ID, "targetIds": [ID]},
            "Only one of targetId and targetIds",
        ),
        (EventBody(), {"type": "LIKE", "targetIds": [ID]}, "targetIds is for the types BELL_POST, DIGEST,"),
    ],
)
def test_invalid_body_is_refused(schema: RequestSchema, body: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationFailed, match=f"^{message}"):
        validate_data(schema, body)


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (PostBody(), {"caption": "x" * 2_201}),
        (PostBody(), {"caption": "a\x00b"}),
        (CommentBody(), {"postId": ID, "content": "x" * 1_001}),
        (CommentBody(), {"postId": "x", "content": "x"}),
        (RegisterBody(), ANN | {"name": "x" * 51}),
        (ReadAllBody(), {"upTo": "5"}),
        (ReadAllBody(), {"upTo": -1}),
        (SimulatePostActivityBody(), {"postId": ID, "targetUserId": ID, "count": 0}),
        (SimulatePostActivityBody(), {"postId": ID, "targetUserId": ID, "simulationType": "all"}),
        (EventBody(), {"type": "NEWS", "targetId": ID}),
    ],
)
def test_validation_error_names_its_field(schema: RequestSchema, body: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed) as error:
        validate_data(schema, body)
    assert error.value.details


def test_unknown_fields_are_ignored() -> None:
    body = {"postId": ID, "content": "hi", "gifUrl": "x"}
    assert set(validate_data(CommentBody(), body)) == {"postId", "content"}


def test_empty_image_url_stays_empty() -> None:
    assert validate_data(PostBody(), {"caption": "hi", "imageUrl": ""})["imageUrl"] == ""
