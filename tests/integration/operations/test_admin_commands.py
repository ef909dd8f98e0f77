"""Commands of python -m app.admin validate text by the same rules as the API."""

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from app.accounts.passwords import PasswordHashing
from app.admin import cli
from app.operations.retention_categories import RETENTION_CATEGORIES
from app.social.users import Users

pytestmark = pytest.mark.service


@pytest.fixture
def cli_runner(environment: dict[str, str], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner()


def create_admin(cli_runner: CliRunner, email: str) -> Result:
    return cli_runner.invoke(cli, ["create-admin", email])


def test_administrator_is_found_by_address_in_either_unicode_form(
    cli_runner: CliRunner, engine: Engine
) -> None:
    created = create_admin(cli_runner, "Rene\u0301@example.org")
    promoted = create_admin(cli_runner, "REN\u00c9@example.org")
    assert "password: " in created.output
    assert promoted.output == "ren\u00e9@example.org is an administrator now.\n"
    matching_users = Users(engine).search("rene")
    assert [user.name for user in matching_users] == ["Ren\u00e9"]
    account = Users(engine).find_account_by_email("ren\u00e9@example.org")
    assert account
    password = created.output.partition("password: ")[2].strip()
    assert PasswordHashing().verify(password, account.password_hash)


@pytest.mark.parametrize("email", ["a\u200bb@example.org", "a\u202eb@example.org", "ab", "a\x07@b.c"])
def test_create_admin_refuses_the_addresses_that_the_api_refuses(cli_runner: CliRunner, email: str) -> None:
    assert create_admin(cli_runner, email).exit_code == 2


def test_long_address_gives_the_username_as_name(cli_runner: CliRunner, engine: Engine) -> None:
    email = "x" * 60 + "@example.org"
    assert create_admin(cli_runner, email).exit_code == 0
    account = Users(engine).find_account_by_email(email)
    assert account
    assert account.name == account.username


@pytest.mark.parametrize(("name", "status"), [("a service", 0), ("a\u202e", 2), ("\u3164", 2)])
def test_service_key_name_is_one_visible_line(
    cli_runner: CliRunner, engine: Engine, name: str, status: int
) -> None:
    assert cli_runner.invoke(cli, ["create-service-key", name]).exit_code == status
    with engine.connect() as conn:
        names = conn.execute(text("select name from service_keys")).scalars().all()
    assert names == ([name] if status == 0 else [])


def test_purge_prints_what_it_deleted_from_each_category(cli_runner: CliRunner, engine: Engine) -> None:
    with engine.begin() as conn:
        conn.execute(
            text(
                "insert into removed_accounts (user_id, removed_at) "
                "values (uuidv7(), now() - interval '9 days')"
            )
        )
    result = cli_runner.invoke(cli, ["purge"])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"{name}: {1 if name == 'removed accounts' else 0} deleted" for name in RETENTION_CATEGORIES
    ]
