#!/bin/sh
# Makes the environment VENV with what the extra "bench" of setup.py names, PyTorch and torchvision, for the Python of
# PY, the project's environment:
#
#     scripts/setup-bench.sh VENV PY        e.g.  .venv-bench .venv/bin/python
#
# Fails never: where it cannot be made, make bench goes on without PyTorch. From PyPI it takes 3 to 6 GB, because the
# wheels for Linux bring CUDA; PIP_INDEX_URL=https://download.pytorch.org/whl/cpu before make has smaller ones.
set -u

VENV=$1
PY=$2

if "$VENV/bin/python" -c 'import torch, torchvision' >/dev/null 2>&1; then
    exit 0
fi
wanted=$("$PY" -c 'from importlib import metadata
for line in metadata.requires("gluon_liver"):
    package, _, marker = line.partition(";")
    if "bench" in marker and "extra" in marker:
        print(package.strip().replace(" ", ""))')
if [ -z "$wanted" ]; then
    echo "bench: the extra is not in the installed package: run make setup again" >&2
    exit 0
fi
echo "bench: making $VENV with" $wanted >&2
rm -rf "$VENV"
# $wanted is a list of words.
# shellcheck disable=SC2086
if ! "$PY" -m venv "$VENV" || ! "$VENV/bin/python" -m pip install --quiet --only-binary=:all: numpy $wanted; then
    rm -rf "$VENV"
    echo "bench: PyTorch could not be installed: its pairs are left out. Another Python that has it: TORCH=..." >&2
fi
