"""Command line for administrators: python -m app.admin
create-admin EMAIL | create-service-key NAME | rebuild-counts | purge

The first two print what they created; passwords and keys are shown once and stored as hashes only.
"""

import re
import secrets
import sys

import click

from app.accounts.passwords import PasswordHashing
from app.accounts.service_keys import ServiceKeys
from app.bootstrap import new_id
from app.clients.postgres import WORKER_STATEMENT_TIMEOUT_MS, create_pg_engine
from app.clients.redis import create_redis_client
from app.domain.errors import Unavailable
from app.domain.text import (
    InvalidText,
    is_email,
    normalize_password,
    normalize_text,
    validate_single_line_text,
)
from app.operations.rebuild_counts import CountRebuilder
from app.operations.retention import RetentionPurge
from app.settings import load_database_url, load_retention_settings, load_tool_settings
from app.social.users import NewUser, Users

MAX_NAME_LENGTH = 50


@click.group()
def cli() -> None:
    """Needs DATABASE_URL (python -m infra env prints it)."""


@cli.command("create-admin")
@click.argument("email")
def create_admin(email: str) -> None:
    """Makes the account of EMAIL an administrator; creates the account if there is none."""
    email = _normalize_and_validate_line(email)
    if not is_email(email):
        raise click.BadParameter("not an e-mail address")
    users = Users(create_pg_engine(load_database_url(), application="admin"))
    existing_user = users.find_account_by_email(email.lower())
    if existing_user is not None:
        users.promote_to_admin(existing_user.id)
        click.echo(f"{existing_user.email} is an administrator now.")
        return
    password, was_prompted = _prompt_or_generate_password()
    username, local_part = _generate_username(email), email.partition("@")[0]
    created_user = users.create(
        NewUser(
            id=new_id(),
            email=email.lower(),
            username=username,
            name=local_part if len(local_part) <= MAX_NAME_LENGTH else username,
            password_hash=PasswordHashing().hash(password),
            role="admin",
        )
    )
    click.echo(f"{created_user.email} is an administrator (user name {created_user.username}).")
    if not was_prompted:
        click.echo(f"password: {password}")


def _prompt_or_generate_password() -> tuple[str, bool]:
    """Prompts at a terminal; generates a password otherwise. The flag says whether it was generated."""
    if sys.stdin.isatty():
        password = click.prompt(
            "Password", hide_input=True, confirmation_prompt=True, value_proc=_normalize_and_validate_password
        )
        return password, True
    # The prefix satisfies the password rules whatever the rest is.
    return "Aa1" + secrets.token_urlsafe(15), False


def _normalize_and_validate_password(password: str) -> str:
    """click repeats the prompt after a BadParameter."""
    try:
        return normalize_password(password)
    except InvalidText as exc:
        raise click.BadParameter(str(exc)) from exc


def _normalize_and_validate_line(raw: str) -> str:
    line = normalize_text(raw).strip()
    try:
        validate_single_line_text(line)
    except InvalidText as exc:
        raise click.BadParameter(str(exc)) from exc
    return line


def _generate_username(email: str) -> str:
    sanitized = re.sub(r"[^a-z0-9_]", "_", email.partition("@")[0].lower())[:20]
    return f"{sanitized or 'admin'}_{secrets.token_hex(3)}"


@cli.command("create-service-key")
@click.argument("name")
def create_service_key(name: str) -> None:
    """Creates a key for POST /api/events (header X-Api-Key)."""
    key = secrets.token_urlsafe(32)
    ServiceKeys(create_pg_engine(load_database_url(), application="admin")).store_key_hash(
        new_id(), _normalize_and_validate_line(name), key
    )
    click.echo(key)


@cli.command("rebuild-counts")
def rebuild_counts() -> None:
    """Recounts likes, comments and followers; safe while everything runs."""
    service_urls = load_tool_settings().service_urls
    db_engine = create_pg_engine(service_urls.database_url, WORKER_STATEMENT_TIMEOUT_MS, "admin")
    for count_name, corrected in CountRebuilder(
        db_engine, create_redis_client(service_urls.redis_url)
    ).rebuild_counts():
        click.echo(f"{count_name}: {corrected} corrected")


@cli.command("purge")
def purge_expired_rows() -> None:
    """Deletes rows past their retention now, in batches; safe while everything runs."""
    db_engine = create_pg_engine(load_database_url(), WORKER_STATEMENT_TIMEOUT_MS, "admin")
    purge = RetentionPurge(db_engine, load_retention_settings().read_notification_days)
    for category_name, deleted in purge.purge_by_category():
        click.echo(f"{category_name}: {deleted} deleted")


if __name__ == "__main__":
    try:
        cli(prog_name="python -m app.admin")
    except Unavailable as exc:
        raise SystemExit(f"{exc}. Is it running?") from exc
