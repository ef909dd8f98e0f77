"""Users: GET /api/users?q= and /api/users/search?q=; GET, PATCH, DELETE /api/users/:id."""

from typing import Any

from flask import request
from marshmallow import ValidationError, fields, validate

from app.accounts.passwords import PasswordHashing
from app.domain.errors import Rejected
from app.ingest.memberships import MembershipStore
from app.persistence.blocks import Blocks
from app.persistence.pages import Page, PageRequest
from app.social.follows import Follows
from app.social.removals import PostAndAccountRemoval
from app.social.users import NOT_FOUND, Users, UserSummary
from blueprints.http.api_blueprint import ApiBlueprint
from blueprints.http.authority import requires_path_user
from blueprints.http.ids import parse_uuid
from blueprints.http.pagination import INVALID_CURSOR, IntegerParam, PageQuery, encode_cursor, value_of
from blueprints.http.request_auth import RequestAuth
from blueprints.http.response_schemas import (
    MessageResponse,
    ObjectSchema,
    PageResponse,
    ResponseSchema,
    UserSchema,
    UserSummarySchema,
)
from blueprints.http.schemas import (
    MAX_NAME_LENGTH,
    MAX_RAW_PASSWORD_LENGTH,
    MAX_URL_LENGTH,
    PasswordField,
    RequestSchema,
    SingleLineField,
    TextField,
    validate_data,
)
from blueprints.http.serializers import JsonObject, account_json, user_summary_json

MAX_SEARCH_LENGTH = 100
MAX_BIO_LENGTH = 160
MAX_SEARCH_RESULTS = 1_000
UPDATE_FORBIDDEN_MESSAGE = "Cannot update another user's profile"
DELETE_FORBIDDEN_MESSAGE = "Cannot remove another user's account"


def _validate_https_url(value: str) -> None:
    if value and not (value.startswith("https://") and value.isprintable() and " " not in value):
        raise ValidationError("avatarUrl must be an https address")


class ProfileBody(RequestSchema):
    name = SingleLineField(allow_none=True, validate=validate.Length(max=MAX_NAME_LENGTH))
    bio = TextField(allow_none=True, validate=validate.Length(max=MAX_BIO_LENGTH))
    avatarUrl = SingleLineField(
        allow_none=True, validate=[validate.Length(max=MAX_URL_LENGTH), _validate_https_url]
    )


class DeleteAccountBody(RequestSchema):
    required_message = "Password required"
    password = PasswordField(required=True, validate=validate.Length(max=MAX_RAW_PASSWORD_LENGTH))


class SearchTextField(SingleLineField):
    def __init__(self, **options: Any) -> None:
        too_long = "Search for at most {max} characters"
        super().__init__(validate=validate.Length(max=MAX_SEARCH_LENGTH, error=too_long), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return super()._deserialize(str(value).strip(), attr, data, **kwargs)


class SearchQuery(RequestSchema):
    """Of the page; the text may be empty."""

    q = SearchTextField(load_default="")


class UsersQuery(PageQuery):
    required_message = "Search query required"
    cursor_parsers = (value_of(int),)
    limit = IntegerParam(20, 100)
    q = SearchTextField(required=True)


class FollowerCountSchema(ObjectSchema):
    followers = fields.Integer()


class FoundUserSchema(UserSummarySchema):
    _count = fields.Nested(FollowerCountSchema)
    followersCount = fields.Integer()


class FoundUsersResponse(PageResponse):
    users = fields.List(fields.Nested(FoundUserSchema))


class ProfileCountsSchema(FollowerCountSchema):
    posts = fields.Integer()
    following = fields.Integer()


class ProfileSchema(UserSchema):
    _count = fields.Nested(ProfileCountsSchema)
    postsCount = fields.Integer()
    followersCount = fields.Integer()
    followingCount = fields.Integer()
    isFollowing = fields.Boolean(metadata={"description": "by the signed-in user"})
    bellEnabled = fields.Boolean(metadata={"description": "post alerts of the signed-in user"})


class ProfileResponse(ResponseSchema):
    user = fields.Nested(ProfileSchema)


class UserResponse(ResponseSchema):
    user = fields.Nested(UserSchema)


_SEARCH_SCHEMA = SearchQuery()


def parse_search_text() -> str:
    """The search text of the page, empty if there is none. Raises Rejected (400)."""
    return str(validate_data(_SEARCH_SCHEMA, request.args)["q"])


class UserDirectory:
    """Search and profiles, as a viewer may see them."""

    def __init__(
        self, user_store: Users, block_store: Blocks, memberships: MembershipStore, follow_store: Follows
    ) -> None:
        self._user_store = user_store
        self._block_store = block_store
        self._memberships = memberships
        self._follow_store = follow_store

    def find(self, search_text: str, page: PageRequest, viewer_id: str | None) -> Page[UserSummary]:
        """Matches, best first, without users whom a block hides from the viewer. The key of a page is the
        position of its end."""
        (offset,) = page.after_key or (page.offset,)
        if page.after_key and not 0 < offset < MAX_SEARCH_RESULTS:
            raise INVALID_CURSOR
        users = self._user_store.search(search_text, page.limit + 1, offset)
        end = offset + page.limit
        has_more = len(users) > page.limit and end < MAX_SEARCH_RESULTS
        hidden_ids = self._block_store.filter_hidden_user_ids(viewer_id, [user.id for user in users])
        visible_users = [user for user in users[: page.limit] if user.id not in hidden_ids]
        return Page(visible_users, (end,) if has_more else None)

    def with_follower_counts(self, users: list[UserSummary]) -> list[JsonObject]:
        follow_by_user_id = self._memberships.get_follower_counts_and_states(
            None, [user.id for user in users]
        )
        return [
            user_summary_json(user)
            | {
                "_count": {"followers": follow_by_user_id[user.id][0]},
                "followersCount": follow_by_user_id[user.id][0],
            }
            for user in users
        ]

    def profile_json(self, user_id: str, viewer_id: str | None) -> JsonObject:
        """Raises Rejected (404), also when a block hides the user from the viewer."""
        self._block_store.raise_if_blocked(viewer_id, user_id, NOT_FOUND)
        unwritten_follows = self._memberships.pending_follows.get_pending_following(user_id)
        user = self._user_store.get_profile(user_id, unwritten_follows)
        followers_count, is_following = self._memberships.get_follower_counts_and_states(
            viewer_id, [user_id]
        )[user_id]
        bell_user_ids = self._follow_store.list_bell_targets_among(viewer_id, [user_id])
        return {
            "id": user.id,
            "username": user.username,
            "name": user.name,
            "bio": user.bio,
            "avatarUrl": user.avatar_url,
            "createdAt": user.created_at,
            "_count": {
                "posts": user.post_count,
                "followers": followers_count,
                "following": user.following_count,
            },
            "postsCount": user.post_count,
            "followersCount": followers_count,
            "followingCount": user.following_count,
            "isFollowing": is_following,
            "bellEnabled": user_id in bell_user_ids,
        }


def blueprint(
    request_auth: RequestAuth,
    user_store: Users,
    user_directory: UserDirectory,
    password_hashing: PasswordHashing,
    removals: PostAndAccountRemoval,
) -> ApiBlueprint:
    routes = ApiBlueprint("users", __name__, url_prefix="/api/users")

    @routes.get("")
    @routes.get("/search")
    @routes.arguments(UsersQuery, location="query")
    @routes.returns(FoundUsersResponse)
    def search_users(query: JsonObject) -> JsonObject:
        """Search users by name and username, best match first."""
        if not query["q"]:
            raise Rejected("Search query required", "invalid", 400)
        users = user_directory.find(query["q"], query["page"], request_auth.optional_user_id())
        return {
            "success": True,
            "users": user_directory.with_follower_counts(users.items),
            "nextCursor": encode_cursor(users.next_key),
        }

    @routes.get("/<user_id>")
    @routes.returns(ProfileResponse, errors=(404,))
    def get_user(user_id: str) -> JsonObject:
        """The profile of a user."""
        return {
            "success": True,
            "user": user_directory.profile_json(parse_uuid(user_id), request_auth.optional_user_id()),
        }

    @routes.patch("/<user_id>")
    @requires_path_user(request_auth.require_self, UPDATE_FORBIDDEN_MESSAGE)
    @routes.arguments(ProfileBody)
    @routes.returns(UserResponse, errors=(404,))
    def update_profile(owner_id: str, body: JsonObject) -> JsonObject:
        """Change the own profile.

        As in the seed, an empty name or avatar is ignored and an empty bio is stored.
        """
        name, avatar_url = (body.get("name") or "").strip(), body.get("avatarUrl")
        updated = user_store.update_profile(owner_id, name or None, body.get("bio"), avatar_url or None)
        account_fields = account_json(updated)
        del account_fields["email"]
        return {"success": True, "user": account_fields}

    @routes.delete("/<user_id>")
    @requires_path_user(request_auth.require_self, DELETE_FORBIDDEN_MESSAGE)
    @routes.arguments(DeleteAccountBody)
    @routes.returns(MessageResponse, errors=(404,))
    def delete_account(owner_id: str, body: JsonObject) -> JsonObject:
        """Delete the own account.

        Permanent. Needs the password as well, because a token alone may have been stolen.
        """
        user = user_store.find_account_by_id(owner_id)
        if user is None:
            raise NOT_FOUND
        if not password_hashing.verify(body["password"], user.password_hash):
            raise Rejected("The password is wrong", "wrong_password", 403)
        removals.delete_account(owner_id)
        return {"success": True, "message": "Account removed"}

    return routes
