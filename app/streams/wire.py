"""JSON on the wire (orjson: the same text several times faster, and it refuses NaN)."""

import orjson


def dumps(value: object) -> bytes:
    return orjson.dumps(value)
