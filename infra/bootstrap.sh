#!/bin/sh
# Creates .venv and installs requirements-dev.txt; returns at once if that is done.
# POSIX sh, because it runs before Python is found.
set -eu
cd "$(dirname "$0")/.."

fail() { printf '%s\n' "$1" >&2; exit 2; }
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

named=
if [ -n "${PYTHON:-}" ]; then
    named=$(version "$PYTHON") || fail "PYTHON=$PYTHON does not run; name a Python 3.11 or newer."
    new_enough "$PYTHON" || fail "PYTHON=$PYTHON is Python $named; name a Python 3.11 or newer."
fi
wanted=$(cat requirements.txt requirements-dev.txt | cksum)
found=$(version .venv/bin/python) || found=
if [ "$(cat .venv/.installed 2>/dev/null)" = "$wanted $found" ] && [ "${named:-$found}" = "$found" ]; then
    exit 0
fi

python=${PYTHON:-}
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    [ -z "$python" ] || break
    if new_enough "$candidate"; then python=$candidate; fi
done
[ -n "$python" ] || fail "Python 3.11 or newer was not found; install it, or name it: make setup PYTHON=/path/to/python3."
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$python has no venv module; install it (Debian, Ubuntu: the package python3-venv) and try again."
free=$(df -Pk . | awk 'NR == 2 { print $4 }')
[ "$free" -gt 1500000 ] || fail "Less than 1.5 GB are free in $(pwd); free some space and try again."

if [ -e .venv ] && [ ! -w .venv ] || [ ! -w . ]; then
    fail "$(pwd) or its .venv belongs to another user; start as that user, or use a copy of your own."
fi
# Recreated if its interpreter is missing, the folder was moved, or PYTHON has another version.
if [ "${named:-$found}" != "$found" ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "Creating .venv with $("$python" --version)${found:+ (it had Python $found)}"
    "$python" -m venv --clear .venv || fail ".venv could not be created; see the reason above."
fi
echo "Installing the packages of requirements-dev.txt (some minutes the first time)"
.venv/bin/python -m pip install --disable-pip-version-check -r requirements-dev.txt ||
    fail "The packages could not be installed; check the network (or pip's settings) and run make setup again."
printf '%s\n' "$wanted $(version .venv/bin/python)" > .venv/.installed
