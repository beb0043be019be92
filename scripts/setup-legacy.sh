#!/bin/sh
# Makes the virtual environment of symbols/: Python 2.7 with MXNet 1.0.0.
#
#     scripts/setup-legacy.sh find                       fails, and says where to get it, if there is no Python 2.7
#     scripts/setup-legacy.sh make VENV27 PY STAMP       PY: a Python 3 with pip; virtualenv runs in it
#
# Called by make, from the root of the checkout. STAMP is written last, so an interrupted or failed run leaves none.
# LEGACY_PYTHON27=... chooses the Python 2.7; otherwise python2.7, python2 and python are tried.
set -eu

VIRTUALENV="virtualenv==20.15.1"  # later ones make no environment of Python 2.7

say() { printf '%s\n' "legacy: $*" >&2; }
fail() {
    say "$@"
    exit 1
}

# A name on the PATH may be a shim that runs nothing, or another Python. ssl: pip needs it.
is_27() {
    "$1" -c 'import sys, ssl; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1
}

find_python27() {
    if [ -n "${LEGACY_PYTHON27:-}" ]; then
        is_27 "$LEGACY_PYTHON27" || fail "LEGACY_PYTHON27=$LEGACY_PYTHON27 is not a Python 2.7 with its ssl module."
        printf '%s\n' "$LEGACY_PYTHON27"
        return
    fi
    for python in python2.7 python2 python; do
        if is_27 "$python"; then
            printf '%s\n' "$python"
            return
        fi
    done
    say "MXNet 1.0.0 is compared on Python 2.7, and there is none on the PATH (python2.7 with its ssl module). Get it"
    say "  with pyenv:   pyenv install 2.7.18, then make legacy LEGACY_PYTHON27=\"\$(pyenv prefix 2.7.18)/bin/python\""
    say "  from apt:     apt-get install python2.7 (as root), on Debian up to 11 and Ubuntu up to 22.04"
    say "  in an image:  docker build -f docker/legacy.Dockerfile -t gluon_liver:legacy ."
    fail "make test needs none of this: it leaves the comparison with MXNet 1.0.0 out."
}

make_venv() {
    venv=$1
    python3=$2
    stamp=$3
    python27=$(find_python27)
    if [ -e "$venv" ]; then
        if [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
            fail "$venv is there and is not a virtual environment: remove it, or choose another with VENV27=..."
        fi
        if [ -e "$venv/bin/python" ] && ! is_27 "$venv/bin/python"; then
            fail "$venv is an environment of another Python: remove it, or choose another folder with VENV27=..."
        fi
        rm -rf "$venv"
    fi
    say "using $python27"
    tools=$(mktemp -d)
    trap 'rm -rf "$tools"' EXIT
    "$python3" -m pip install --quiet --target "$tools" "$VIRTUALENV"
    PYTHONPATH=$tools "$python3" -m virtualenv --quiet --python "$python27" "$venv"
    "$venv/bin/python" -m pip install --quiet --only-binary=:all: --requirement symbols/requirements.txt
    "$venv/bin/python" -c 'import mxnet, numpy; assert mxnet.__version__ == "1.0.0", mxnet.__version__'
    : >"$stamp"
    say "$venv is ready: Python 2.7 with MXNet 1.0.0"
}

case ${1:-} in
find) find_python27 >/dev/null ;;
make) make_venv "$2" "$3" "$4" ;;
*) fail "find, or make VENV27 PY STAMP: see the top of this file" ;;
esac
