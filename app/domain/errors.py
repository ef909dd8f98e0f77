"""The three fates of an exception. Nothing else is needed, and the class is the fate."""


class Rejected(Exception):
    """The request cannot be accepted as it is."""

    def __init__(self, message: str, code: str = "invalid", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Poisoned(Exception):
    """This record can never be processed: it goes to the dead letters with this reason."""


class Unavailable(Exception):
    """A service we lean on is away; try again later."""

    def __init__(self, message: str, code: str = "unavailable") -> None:
        super().__init__(message)
        self.code = code
