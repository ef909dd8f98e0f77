"""Logging: sentences for people at a terminal, JSON for machines (python-json-logger)."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
NOISY = ("kafka", "botocore", "urllib3", "engineio", "socketio")


def set_up(level: str, style: str) -> None:
    """`style` is auto, text or json; auto means text on a terminal."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    handler.setFormatter(logging.Formatter(TEXT) if as_text else JsonFormatter(form))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
