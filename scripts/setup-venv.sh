#!/bin/sh
# Makes the virtual environment VENV with this package and its EXTRAS in it:
#
#     scripts/setup-venv.sh VENV EXTRAS STAMP        e.g.  .venv cpu,test .venv/setup-cpu,test.stamp
#
# Called by make, from the root of the checkout. STAMP is written last, so an interrupted or failed run leaves none.
# PYTHON=... chooses the Python; otherwise the first that works is taken, and uv is asked for one when none does.
# SYSTEM_PACKAGES=no installs nothing outside VENV: what the system lacks is told instead.
# What pip says is in VENV/setup.log, and shown when it fails.
set -eu

VENV=$1
EXTRAS=$2
STAMP=$3
LOG=$VENV/setup.log
SYSTEM_PACKAGES=${SYSTEM_PACKAGES:-yes}
PYTHONS="python3.11 python3.10 python3.9 python3.8 python3.12 python3.13 python3"

say() { printf '%s\n' "setup: $*" >&2; }
fail() {
    for line; do say "$line"; done
    exit 1
}

# A name on the PATH may be a shim that runs nothing, a Python that MXNet has no wheel for, or one without venv.
usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

make_folder() {
    mkdir -p "$VENV" || fail "$VENV cannot be made: choose a folder that can be written, make setup VENV=/path/to/venv"
}

make_venv() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.8 to 3.13 with its venv module."
        make_folder
        "$PYTHON" -m venv "$VENV"
        return
    fi
    for python in $PYTHONS; do
        if usable "$python"; then
            say "using $python ($("$python" --version 2>&1))"
            make_folder
            "$python" -m venv "$VENV"
            return
        fi
    done
    if command -v uv >/dev/null 2>&1; then
        say "no Python 3.8 to 3.13 with its venv module here: asking uv for Python 3.11"
        uv venv --python 3.11 --seed "$VENV"
        return
    fi
    say "MXNet 1.9.1 needs Python 3.8, 3.9, 3.10, 3.11 (best), 3.12 or 3.13 with its venv module, and none was found."
    say "On Debian or Ubuntu: apt-get install python3-venv (as root). Elsewhere: install uv, which brings Python 3.11."
    fail "A Python of another name or place: make setup PYTHON=/path/to/python3.11"
}

# The shared libraries that the wheels expect of the system: bare Debian and Ubuntu images lack some of them.
install_missing_libraries() {
    packages=$("$VENV/bin/python" -c 'from gluon_liver.system.shared_libraries import missing_debian_packages as missing
print(*missing())')
    [ -n "$packages" ] || return 0
    say "shared libraries that MXNet and OpenCV need are missing; they are in the Debian packages: $packages"
    if [ "$SYSTEM_PACKAGES" = no ]; then
        fail "SYSTEM_PACKAGES=no: not installed. Who may, runs  apt-get update && apt-get install -y $packages  first."
    elif ! command -v apt-get >/dev/null 2>&1; then
        fail "There is no apt-get here: install what your system calls these packages, then run make again."
    elif [ "$(id -u)" = 0 ]; then
        as_root="env"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo env"
    else
        fail "Run this, then make again:  sudo apt-get update && sudo apt-get install -y $packages"
    fi
    say "installing them in this system with apt-get (not wanted: SYSTEM_PACKAGES=no)"
    # $packages and $as_root are lists of words.
    # shellcheck disable=SC2086
    logged $as_root DEBIAN_FRONTEND=noninteractive apt-get update -q
    # shellcheck disable=SC2086
    logged $as_root DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $packages
}

# Runs a command and keeps what it says in the log; shows the end of it where the command fails.
logged() {
    printf '%s\n' "\$ $*" >>"$LOG"
    "$@" >>"$LOG" 2>&1 && return
    tail -n 20 "$LOG" >&2
    fail "this failed: $*" "All that was said is in $LOG."
}

pip_logged() { logged "$VENV/bin/python" -m pip "$@"; }

# MXNet's wheels say numpy<2, and Python 3.13 has no such NumPy. They run with NumPy 2.2 and the names that
# gluon_liver puts back there, so they are added without a look at what they say.
add_mxnet() {
    build=mxnet
    case ",$EXTRAS," in
    *,cu112,*) build=mxnet-cu112 ;;
    *,cpu,*) ;;
    *) return 0 ;;
    esac
    pip_logged install --only-binary=:all: --no-deps "$build==1.9.1"
}

# Whether all that is installed fits together, but for what MXNet says on Python 3.13.
check_requirements() {
    said=$("$VENV/bin/python" -m pip check 2>&1) && return 0
    [ -z "$newest" ] || said=$(printf '%s\n' "$said" | grep -v '^mxnet' || true)
    [ -z "$said" ] || fail "what is installed does not fit together: $said"
}

# Says what is still missing and fails, except for NVIDIA's driver: an image for GPU machines is built without one.
check_import() {
    "$VENV/bin/python" - <<'CHECK'
import sys

from gluon_liver.system.doctor import driver_only
from gluon_liver.system.shared_libraries import missing_libraries

missing = missing_libraries()
for library in missing:
    print(f"setup: {library.name} is missing ({library.module} needs it): {library.advice}", file=sys.stderr)
if missing:
    sys.exit(not driver_only(missing))
import cv2, gluoncv, mxnet  # noqa: E401, F401
CHECK
}

case $(uname -m) in
x86_64 | amd64) ;;
*) fail "MXNet 1.9.1 has wheels for x86-64 only, and this machine is $(uname -m)." ;;
esac

# A finished environment with these extras is brought up to date in place; anything else is made anew. An old STAMP
# stays until then: make takes it for out of date, and it tells which extras to go on with.
if [ ! -e "$STAMP" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
    if [ -e "$VENV" ]; then
        if [ ! -e "$VENV/pyvenv.cfg" ] && [ -n "$(ls -A "$VENV")" ]; then
            fail "$VENV is there and is not a virtual environment: remove it, or choose another with VENV=..."
        fi
        say "making $VENV anew: it is unfinished, broken or has other extras"
        rm -rf "$VENV"
    fi
    make_venv
fi

case $SYSTEM_PACKAGES in
yes) say "shared libraries that the system lacks are installed with apt-get where that is allowed; SYSTEM_PACKAGES=no: not" ;;
no) ;;
*) fail "SYSTEM_PACKAGES=$SYSTEM_PACKAGES: yes or no is wanted." ;;
esac
say "installing [$EXTRAS] into $VENV: minutes, 1.4 GB with MXNet for CPUs; pip's words go to $LOG"
: >"$LOG"
# Older pips know neither editable installs of pyproject.toml projects nor today's wheel tags.
pip_logged install 'pip>=23,<27'
if [ -w . ]; then
    pip_logged install --only-binary=:all: --editable ".[$EXTRAS]"
else # pip writes beside what it installs
    say "this checkout is read-only: $VENV gets a copy of the package; make setup again when the checkout changes"
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    cp -R README.md LICENSE MANIFEST.in pyproject.toml setup.py gluon_liver symbols "$copy"
    chmod -R u+w "$copy"
    pip_logged install --only-binary=:all: "$copy[$EXTRAS]"
fi
newest=$("$VENV/bin/python" -c 'import sys; print("yes" if sys.version_info >= (3, 13) else "")')
[ -z "$newest" ] || add_mxnet
check_requirements
install_missing_libraries
check_import
: >"$STAMP"
say "$VENV is ready: $("$VENV/bin/python" --version)"
