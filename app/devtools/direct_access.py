"""Access tokens made from the secret alone, without a log-in: for storms, tests and benchmarks."""

import time

import jwt
import uuid_utils

TOKEN_TTL_SECONDS = 6 * 3600


def create_access_token(user_id: str, secret: str) -> str:
    """An access token as log-in issues it, without a session."""
    now = int(time.time())
    claims = {
        "sub": user_id,
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_TTL_SECONDS,
        "jti": str(uuid_utils.uuid4()),
        "type": "access",
        "fresh": False,
    }
    return jwt.encode(claims, secret, algorithm="HS256")
