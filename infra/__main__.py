"""The command line of the embedded services: python -m infra COMMAND.

In    a command, names of services
Out   exit code 0; 2 with one sentence when a person has to do something
"""

import argparse
import json
import os
import sys
from collections.abc import Callable

from infra import surroundings
from infra.services import NAMES, Services
from infra.trouble import Trouble

ON_SERVICES = {
    "start": "start them and return when they answer; may be repeated",
    "stop": "stop them cleanly",
    "kill": "SIGKILL, as a crash",
    "pause": "SIGSTOP: frozen, connections stay open",
    "resume": "SIGCONT",
    "status": "state, pid and port of each",
    "env": "their addresses as NAME=value lines",
}
OTHERS = {
    "setup": "fetch what the lock file names",
    "lock": "resolve manifest.toml into manifest.lock",
    "run": "services, migration and every process of the Procfile, until Ctrl-C",
    "migrate": "bring the database up to date, starting PostgreSQL if needed",
    "lint-compose": "check docker-compose.yml against our rules",
}


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    surroundings.load()
    try:
        return _act(asked)
    except Trouble as trouble:
        print(f"{trouble}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _act(asked: argparse.Namespace) -> int:
    services = Services(say=lambda sentence: print(sentence, file=sys.stderr))
    if asked.command == "exec":
        os.execvpe(asked.words[0], asked.words, surroundings.environment(services))  # noqa: S606
    if asked.command in OTHERS:
        return OTHER_COMMANDS[asked.command](asked)
    names = tuple(asked.names)
    if asked.command == "status":
        _print_status(services, names, asked.json)
    elif asked.command == "env":
        _print_env(services.env(*names))
    else:
        getattr(services, asked.command)(*names)
    return 0


def _print_status(services: Services, names: tuple[str, ...], as_json: bool) -> None:
    found = {name: status.as_dict() for name, status in services.status(*names).items()}
    if as_json:
        print(json.dumps(found))
        return
    for name, row in found.items():
        print(f"{name:<9} {row['state']:<8} pid {row['pid'] or '-':<8} port {row['port'] or '-'}")


def _print_env(addresses: dict[str, str]) -> None:
    for name, value in addresses.items():
        print(f"{name}={value}")


# The commands import what they need themselves: `status` must not load the rest.
def _setup(asked: argparse.Namespace) -> int:
    from infra.fetch import setup

    setup(browser_only=asked.browser)
    return 0


def _lock(asked: argparse.Namespace) -> int:
    from infra.lock import write

    print(f"{write()} files locked.")
    return 0


def _run(asked: argparse.Namespace) -> int:
    from infra.run import run

    return run()


def _migrate(asked: argparse.Namespace) -> int:
    from infra.run import migrate

    services = Services()
    down = "postgres" in surroundings.embedded() and (
        services.status("postgres")["postgres"].state == "stopped"
    )
    try:
        if down:
            services.start("postgres")
        migrate(services)
    finally:
        if down:
            services.stop("postgres")
    return 0


def _lint_compose(asked: argparse.Namespace) -> int:
    from infra.compose import check

    faults = check()
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


OTHER_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "setup": _setup,
    "lock": _lock,
    "run": _run,
    "migrate": _migrate,
    "lint-compose": _lint_compose,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra", description="The embedded services.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in ON_SERVICES.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="|".join(NAMES))
        if name == "status":
            command.add_argument("--json", action="store_true", help="for programs")
    for name, text in OTHERS.items():
        command = commands.add_parser(name, help=text)
        if name == "setup":
            command.add_argument("--browser", action="store_true", help="only the browser library")
    command = commands.add_parser(
        "exec", help="run a command with the addresses in its environment"
    )
    command.add_argument("words", nargs="+", metavar="WORD")
    return parser


if __name__ == "__main__":
    sys.exit(main())
