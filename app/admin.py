"""The operator's commands: python -m app.admin
create-admin EMAIL | create-service-key NAME | rebuild-counts | purge

Each of the first two prints what it made; passwords and keys are shown once and kept only as
hashes.
"""

import re
import secrets
import sys

import click

from app.domain.errors import Unavailable
from app.domain.text import TextError, check_line, is_email, normalize, opaque_password
from app.passwords import Passwords
from app.settings import database_url, outlook
from app.stores.postgres import WORKER_STATEMENT_MS, engine
from app.stores.recount import Recount
from app.stores.redis import client
from app.stores.retention import Retention
from app.stores.service_keys import ServiceKeys
from app.stores.users import NewUser, Users
from app.wiring import new_id

MAX_NAME = 50


@click.group()
def commands() -> None:
    """Needs DATABASE_URL (python -m infra env prints it)."""


@commands.command("create-admin")
@click.argument("email")
def create_admin(email: str) -> None:
    """Makes an administrator of EMAIL's account; creates it if there is none."""
    email = _line(email)
    if not is_email(email):
        raise click.BadParameter("not an e-mail address")
    users = Users(engine(database_url(), name="admin"))
    found = users.by_email(email.lower())
    if found is not None:
        users.promote(found.id)
        click.echo(f"{found.email} is an administrator now.")
        return
    password, chosen = _password()
    username, local_part = _username(email), email.partition("@")[0]
    made = users.create(
        NewUser(
            id=new_id(),
            email=email.lower(),
            username=username,
            name=local_part if len(local_part) <= MAX_NAME else username,
            password_hash=Passwords().hash(password),
            role="admin",
        )
    )
    click.echo(f"{made.email} is an administrator (user name {made.username}).")
    if not chosen:
        click.echo(f"password: {password}")


def _password() -> tuple[str, bool]:
    """Prompted for at a terminal; without one made up, because nobody could answer."""
    if sys.stdin.isatty():
        typed = click.prompt(
            "Password", hide_input=True, confirmation_prompt=True, value_proc=_allowed
        )
        return typed, True
    # The prefix makes it pass the rules for passwords whatever the rest is.
    return "Aa1" + secrets.token_urlsafe(15), False


def _allowed(typed: str) -> str:
    """The prompt is repeated after a BadParameter."""
    try:
        return opaque_password(typed)
    except TextError as fault:
        raise click.BadParameter(str(fault)) from fault


def _line(given: str) -> str:
    line = normalize(given).strip()
    try:
        check_line(line)
    except TextError as fault:
        raise click.BadParameter(str(fault)) from fault
    return line


def _username(email: str) -> str:
    plain = re.sub(r"[^a-z0-9_]", "_", email.partition("@")[0].lower())[:20]
    return f"{plain or 'admin'}_{secrets.token_hex(3)}"


@commands.command("create-service-key")
@click.argument("name")
def create_service_key(name: str) -> None:
    """Makes a key for POST /api/events (header X-Api-Key)."""
    key = secrets.token_urlsafe(32)
    ServiceKeys(engine(database_url(), name="admin")).add(new_id(), _line(name), key)
    click.echo(key)


@commands.command("rebuild-counts")
def rebuild_counts() -> None:
    """Counts likes, comments and followers afresh; also while everything runs."""
    addresses = outlook().addresses
    tables = engine(addresses.database_url, WORKER_STATEMENT_MS, "admin")
    for what, wrong in Recount(tables, client(addresses.redis_url)).rebuild():
        click.echo(f"{what}: {wrong} corrected")


@commands.command("purge")
def purge() -> None:
    """Deletes what nobody needs any more (retention), in batches; also while everything runs."""
    tables = engine(database_url(), WORKER_STATEMENT_MS, "admin")
    for what, gone in Retention(tables).purge():
        click.echo(f"{what}: {gone} deleted")


if __name__ == "__main__":
    try:
        commands(prog_name="python -m app.admin")
    except Unavailable as fault:
        raise SystemExit(f"{fault}. Is it running?") from fault
