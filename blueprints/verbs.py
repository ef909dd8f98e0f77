"""Three verbs of one wish: PUT wants it, DELETE does not, POST turns it over (the seed's way).

In    routes made with methods=VERBS
Out   the wish that the current request's method stands for
"""

from flask import request

from app.actions import Wish

VERBS = ("PUT", "DELETE", "POST")
_WISHES = dict(zip(VERBS, (Wish.ON, Wish.OFF, Wish.TOGGLE), strict=True))


def wish() -> Wish:
    return _WISHES[request.method]
