"""Comments and replies, nested to any depth.

In    GET, POST /api/comments; POST /api/comments/:id/reply; DELETE /api/comments/:id
Out   app/actions.py; stores/comments.py
"""

from collections.abc import Sequence
from typing import cast

from flask import Blueprint, Response, current_app, request

from app.domain.errors import Rejected
from app.stores.blocks import Blocks
from app.stores.comments import Comment
from app.stores.posts import MISSING
from app.stores.users import Mini, Users
from blueprints import actions, parts
from blueprints.identity import person, traceparent, uuid_of, viewer
from blueprints.once import once
from blueprints.paging import bad_cursor, next_cursor, paging
from blueprints.schemas import CommentBody, ReplyBody, body
from blueprints.views import Json
from blueprints.views import comment as view

blueprint = Blueprint("comments", __name__, url_prefix="/api/comments")
_COMMENT, _ANSWER = CommentBody(), ReplyBody()


@blueprint.post("")
def create() -> Response:
    asking = person()
    return once(asking, lambda: _create(asking))


def _create(asking: str) -> tuple[Json, int]:
    given = body(_COMMENT)
    author = Users(parts().engine).mini(asking)
    text = words(given["content"], "PostId and content required")
    said = actions().comment(asking, str(given["postId"]), text, traceparent())
    return {"success": True, "comment": view(said, author)}, 201


@blueprint.post("/<comment_id>/reply")
def reply(comment_id: str) -> Response:
    asking = person()
    return once(asking, lambda: _reply(asking, comment_id))


def _reply(asking: str, comment_id: str) -> tuple[Json, int]:
    given, to = body(_ANSWER), uuid_of(comment_id)
    author = Users(parts().engine).mini(asking)
    text = words(given["content"], "Content required")
    said = actions().reply(asking, to, text, traceparent())
    return {"success": True, "comment": view(said, author)}, 201


@blueprint.delete("/<comment_id>")
def delete(comment_id: str) -> Json:
    actions().delete_comment(person(), uuid_of(comment_id), traceparent())
    return {"success": True, "message": "Comment deleted"}


def words(content: str, needed: str) -> str:
    text = content.strip()
    if not text:
        raise Rejected(needed, "invalid", 400)
    return text


@blueprint.get("")
def of_post() -> Response:
    asked = request.args.get("postId")
    if not asked:
        raise Rejected("PostId required", "invalid", 400)
    part, asking, post_id = paging(50, 100), viewer(), uuid_of(asked)
    if Blocks(parts().engine).hides_post(asking, post_id):
        raise MISSING
    tops, children, people = tree(post_id, asking)
    if part.cursor is not None:
        if len(part.cursor) != 1:
            raise bad_cursor()
        tops = _after(tops, str(part.cursor[0]))
    following = next_cursor(tops, part.limit, lambda comment: (comment.id,))
    pieces = [b'{"success":true,"comments":[']
    pieces += nested(tops[: part.limit], children, people)
    pieces.append(b'],"nextCursor":' + current_app.json.dumps(following).encode() + b"}")
    return Response(b"".join(pieces), content_type="application/json")


Tree = tuple[list[Comment], dict[str, list[Comment]], dict[str, Mini]]


def tree(post_id: str, viewer_id: str | None) -> Tree:
    """Top level, newest first; replies by parent, oldest first; and who wrote them. Comments of
    those whom a block hides from the viewer are left out; others' replies to them stand alone."""
    said = parts().comments.of_post(post_id)
    authors = {comment.user_id for comment in said}
    hidden = Blocks(parts().engine).among(viewer_id, authors)
    people = Users(parts().engine).minis(sorted(authors - hidden))
    # By id (time-ordered): it stays the same when a pending comment becomes a written one.
    said = sorted((one for one in said if one.user_id in people), key=lambda one: one.id)
    known = {comment.id for comment in said}
    tops, children = [], cast("dict[str, list[Comment]]", {})
    for comment in said:
        # A reply whose parent is gone stands alone rather than vanish.
        if comment.parent_id in known and comment.parent_id != comment.id:
            children.setdefault(str(comment.parent_id), []).append(comment)
        else:
            tops.append(comment)
    return tops[::-1], children, people


def _after(tops: Sequence[Comment], last: str) -> list[Comment]:
    """Those after `last`. Ids rise with time, so a comment that is gone still has its place."""
    place = uuid_of(last)
    return [comment for comment in tops if comment.id < place]


def nested(
    tops: Sequence[Comment], children: dict[str, list[Comment]], people: dict[str, Mini]
) -> list[bytes]:
    """The JSON of a forest, without recursion: a chain of replies may be deeper than any stack."""
    pieces: list[bytes] = []
    waiting: list[Comment | bytes] = list(reversed(_with_commas(tops)))
    while waiting:
        item = waiting.pop()
        if isinstance(item, bytes):
            pieces.append(item)
            continue
        row = current_app.json.dumps(view(item, people[item.user_id])).encode()
        pieces.append(row[:-1] + b',"replies":[')
        waiting.append(b"]}")
        waiting.extend(reversed(_with_commas(children.get(item.id, []))))
    return pieces


def _with_commas(row: Sequence[Comment]) -> list[Comment | bytes]:
    spaced: list[Comment | bytes] = []
    for comment in row:
        spaced += [b",", comment] if spaced else [comment]
    return spaced
