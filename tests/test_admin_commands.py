"""The operator's commands take text by the same rules as the API."""

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from app.admin import commands
from app.passwords import Passwords
from app.stores.users import Users

pytestmark = pytest.mark.service


@pytest.fixture
def run(environment: dict[str, str], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner()


def create_admin(run: CliRunner, email: str) -> Result:
    return run.invoke(commands, ["create-admin", email])


def test_an_administrator_is_found_by_address_in_either_form(
    run: CliRunner, engine: Engine
) -> None:
    made = create_admin(run, "Rene\u0301@example.org")
    promoted = create_admin(run, "REN\u00c9@example.org")
    assert "password: " in made.output
    assert promoted.output == "ren\u00e9@example.org is an administrator now.\n"
    found = Users(engine).search("rene")
    assert [one.name for one in found] == ["Ren\u00e9"]
    account = Users(engine).by_email("ren\u00e9@example.org")
    assert account
    password = made.output.partition("password: ")[2].strip()
    assert Passwords().fits(password, account.password_hash)


@pytest.mark.parametrize(
    "email", ["a\u200bb@example.org", "a\u202eb@example.org", "ab", "a\x07@b.c"]
)
def test_an_address_that_the_api_refuses_is_refused(run: CliRunner, email: str) -> None:
    assert create_admin(run, email).exit_code == 2


def test_an_address_longer_than_a_name_gives_the_user_name_as_name(
    run: CliRunner, engine: Engine
) -> None:
    email = "x" * 60 + "@example.org"
    assert create_admin(run, email).exit_code == 0
    account = Users(engine).by_email(email)
    assert account
    assert account.name == account.username


@pytest.mark.parametrize(("name", "status"), [("a service", 0), ("a\u202e", 2), ("\u3164", 2)])
def test_the_name_of_a_service_key_is_one_visible_line(
    run: CliRunner, engine: Engine, name: str, status: int
) -> None:
    assert run.invoke(commands, ["create-service-key", name]).exit_code == status
    with engine.connect() as sql:
        names = sql.execute(text("select name from service_keys")).scalars().all()
    assert names == ([name] if status == 0 else [])
