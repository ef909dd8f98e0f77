"""The error of this package. infra/__main__.py prints it without a traceback and exits with 2."""


class InfraError(Exception):
    """The message states what is wrong and what the user can do."""
