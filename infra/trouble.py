"""Trouble: what a person at the terminal can do something about.

In    every module of infra
Out   infra/__main__.py prints the sentence and exits with 2, without a traceback
"""


class Trouble(Exception):
    """One sentence that says what is wrong and what to do."""
