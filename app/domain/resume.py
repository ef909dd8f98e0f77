"""Limit for resuming a socket: how many missed client events a reconnecting client can receive.

Used by the history (app/delivery/history.py) and by the purge, which keeps as many events per user.
"""

MAX_MISSED_EVENTS = 300
"""With more missed events, reloading everything over HTTP costs less than replaying them."""
