"""The three classes of errors: the caller's fault, can never succeed, try again later."""

from typing import ClassVar


class Rejected(Exception):
    """The request is not acceptable as it is."""

    def __init__(self, message: str, code: str = "invalid", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class FixedRejection(Rejected):
    """A rejection that is the same whenever it is raised; define_rejection() makes its classes."""

    arguments: ClassVar[tuple[str, str, int]]

    def __init__(self) -> None:
        super().__init__(*self.arguments)


def define_rejection(message: str, code: str, status: int) -> type[FixedRejection]:
    """For constants that are raised. An instance would not do: each time it is raised, the frames of that
    call are added to its traceback, and none is ever released."""
    return type("Rejected", (FixedRejection,), {"arguments": (message, code, status)})


class Poisoned(Exception):
    """The record can never be processed; it goes to the dead letters with this reason."""


class Unavailable(Exception):
    """A service is unavailable; the call may be repeated later."""

    def __init__(self, message: str, code: str = "unavailable") -> None:
        super().__init__(message)
        self.code = code


class RedisUnavailable(Unavailable):
    """Redis does not answer. The same write may be made as a failover write."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "redis_unavailable")


class RedisFailoverActive(Unavailable):
    """Redis answers, but must not be used before the failback. The same write may be made as a failover
    write."""

    def __init__(self) -> None:
        super().__init__("Redis failover is active", "redis_failover")
