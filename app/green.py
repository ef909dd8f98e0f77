"""The patch: the first call of every entry point.

gevent replaces the blocking parts of the standard library, psycogreen those of psycopg2 (C code
that the patch cannot reach: one slow query would stop everybody, field notes 3).
"""

import sys


def patch() -> None:
    """Patches once; a second call does nothing. Fails when it comes too late."""
    from gevent import monkey

    if monkey.is_module_patched("socket"):
        return
    # A TLS context of the unpatched class recurses for ever at its first use. gunicorn itself
    # imports ssl before it reads its configuration, but makes nothing from it.
    if "ssl" in sys.modules and "gunicorn" not in sys.modules:
        raise RuntimeError("green.patch() must run before anything imports ssl")
    monkey.patch_all()
    from psycogreen.gevent import patch_psycopg

    patch_psycopg()
