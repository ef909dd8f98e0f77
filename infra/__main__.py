"""The command line of the embedded services: python -m infra COMMAND.

Exit code 2, with one line on standard error, if the user has to do something.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable

from infra import environment
from infra.errors import InfraError
from infra.services import SERVICE_NAMES, EmbeddedServices

SERVICE_COMMAND_HELP = {
    "start": "start them and wait until they are ready; no effect on running ones",
    "stop": "stop them gracefully",
    "kill": "SIGKILL, like a crash",
    "pause": "SIGSTOP; connections stay open",
    "resume": "SIGCONT",
    "status": "state, pid and port of each",
    "env": "their addresses as NAME=value lines",
}
OTHER_COMMAND_HELP = {
    "setup": "download the files of manifest.lock",
    "lock": "resolve manifest.toml into manifest.lock",
    "run": "start services, migrate, run the processes of the Procfile until Ctrl-C",
    "migrate": "migrate the database, starting PostgreSQL if needed",
    "lint-compose": "check docker-compose.yml",
}


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    environment.load_env_file()
    try:
        return _run_command(args)
    except InfraError as error:
        print(f"{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run_command(args: argparse.Namespace) -> int:
    services = EmbeddedServices(log=lambda message: print(message, file=sys.stderr))
    if args.command == "exec":
        os.execvpe(args.command_line[0], args.command_line, environment.command_environment(services))  # noqa: S606
    if args.command in OTHER_COMMAND_HELP:
        return COMMAND_HANDLERS[args.command](args)
    names = tuple(args.names)
    if args.command == "status":
        _print_status(services, names, args.json)
    elif args.command == "env":
        _print_env(services.env(*names))
    else:
        getattr(services, args.command)(*names)
    return 0


def _print_status(services: EmbeddedServices, names: tuple[str, ...], as_json: bool) -> None:
    statuses = {name: status.to_dict() for name, status in services.status(*names).items()}
    if as_json:
        print(json.dumps(statuses))
        return
    for name, row in statuses.items():
        print(f"{name:<9} {row['state']:<8} pid {row['pid'] or '-':<8} port {row['port'] or '-'}")


def _print_env(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        print(f"{name}={value}")


# Each command imports what it needs, so that `status` starts fast.
def _setup(args: argparse.Namespace) -> int:
    from infra.downloads import fetch_missing_files

    fetch_missing_files(browser_only=args.browser)
    return 0


def _lock(args: argparse.Namespace) -> int:
    from infra.lock_file import write_lock_file

    print(f"{write_lock_file()} files locked.")
    return 0


def _run(args: argparse.Namespace) -> int:
    from infra.run import run

    return run()


def _migrate(args: argparse.Namespace) -> int:
    from infra.run import migrate

    services = EmbeddedServices()
    start_postgres = "postgres" in environment.embedded_service_names() and (
        services.status("postgres")["postgres"].state == "stopped"
    )
    try:
        if start_postgres:
            services.start("postgres")
        migrate(services)
    finally:
        if start_postgres:
            services.stop("postgres")
    return 0


def _lint_compose(args: argparse.Namespace) -> int:
    from infra.compose import check_compose_file

    violations = check_compose_file()
    for violation in violations:
        print(violation, file=sys.stderr)
    return 1 if violations else 0


COMMAND_HANDLERS: dict[str, Callable[[argparse.Namespace], int]] = {
    "setup": _setup,
    "lock": _lock,
    "run": _run,
    "migrate": _migrate,
    "lint-compose": _lint_compose,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra", description="The embedded services.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in SERVICE_COMMAND_HELP.items():
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "names", nargs="*", choices=[*SERVICE_NAMES, []], metavar="|".join(SERVICE_NAMES)
        )
        if name == "status":
            command.add_argument("--json", action="store_true", help="print JSON")
    for name, text in OTHER_COMMAND_HELP.items():
        command = commands.add_parser(name, help=text)
        if name == "setup":
            command.add_argument("--browser", action="store_true", help="only the browser libraries")
    command = commands.add_parser("exec", help="run a command with the service addresses in its environment")
    command.add_argument("command_line", nargs="+", metavar="ARGUMENT")
    return parser


if __name__ == "__main__":
    sys.exit(main())
