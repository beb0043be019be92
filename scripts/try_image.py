"""Carry out a Dockerfile's steps in a bare root of the distribution that it starts from, without a Docker engine.

    python -m scripts.try_image docker/cpu.Dockerfile --root /var/tmp/cpu [--copy FILE:PLACE] [--env NAME=VALUE]

Makes the root with debootstrap (as root, on Debian or Ubuntu), copies what git has of the checkout where COPY says,
runs every RUN in the root with the ENV, WORKDIR and USER in force, then the health check and the image's command. What
an engine does besides is not tried: layers, the build context's .dockerignore, networks, entry by its init. ``--copy``
and ``--env`` give the root what this machine's network needs, a certificate say. Stops at the first step that fails,
with its exit code, and leaves the root there to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[1]
SUITES = {  # what FROM names -> suite, mirror, debootstrap's script for it, components that the image has
    "debian:bookworm-slim": ("bookworm", "http://deb.debian.org/debian", "sid", "main"),
    "ubuntu:22.04": ("jammy", "http://archive.ubuntu.com/ubuntu", "gutsy", "main,universe"),
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Inside the root, in namespaces of its own: what an engine mounts, then the command as the user that USER names.
ENTER = """
mount -t proc proc "$1/proc"
mkdir -p "$1/dev/shm" && mount -t tmpfs tmpfs "$1/dev/shm"
[ -e "$1/dev/urandom" ] || mount --bind /dev "$1/dev"
shift
exec "$@"
"""


class Step(NamedTuple):
    """An instruction of a Dockerfile, its continued lines joined."""

    name: str
    words: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.try_image", description=__doc__.splitlines()[0])
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("--root", type=Path, required=True, help="a new folder for the root, which stays")
    parser.add_argument("--copy", action="append", default=[], metavar="FILE:PLACE", help="into the root, before RUN")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="while RUN runs")
    parser.add_argument("--no-check-gpg", action="store_true", help="where the distribution's keyring is not installed")
    args = parser.parse_args()
    image = steps(args.dockerfile.read_text(encoding="utf-8"))
    if args.root.exists():
        parser.error(f"{args.root} is there: choose a new folder")
    if os.geteuid() != 0:
        parser.error("chroot and mounts need root")
    made = Image(args.root, dict(one.split("=", 1) for one in args.env))
    for step in image:
        began = time.monotonic()
        print(f"== {step.name} {step.words}", flush=True)
        code = made.carry_out(step, copies=args.copy, check_gpg=not args.no_check_gpg)
        if code:
            print(
                f"== failed with {code} after {time.monotonic() - began:.0f} s; the root: {args.root}", file=sys.stderr
            )
            return code
        if step.name == "RUN":
            print(f"== done in {time.monotonic() - began:.0f} s", flush=True)
    for name, command in (("HEALTHCHECK", made.health), ("ENTRYPOINT and CMD", made.entrypoint + made.command)):
        print(f"== {name}: {shlex.join(command)} as {made.user}", flush=True)
        code = made.enter(command) if command else 0
        print(f"== ended with {code}", flush=True)
        if code:
            return code
    return 0


def steps(text: str) -> List[Step]:
    """The instructions of a Dockerfile, in their order, without comments."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", lines)
    return [Step(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def variables(words: str, known: Dict[str, str]) -> Dict[str, str]:
    """What ENV or ARG sets, with $NAME of what is set before."""
    pairs = (word.split("=", 1) for word in shlex.split(words) if "=" in word)
    return {name: re.sub(r"\$\{?(\w+)\}?", lambda found: known.get(found[1], ""), value) for name, value in pairs}


class Image:
    """A root, and what the instructions so far have set for the commands in it."""

    def __init__(self, root: Path, extra: Dict[str, str]) -> None:
        self.root, self.extra = root, extra
        self.env: Dict[str, str] = {"PATH": PATH}
        self.folder, self.user = "/", "root"
        self.health: List[str] = []
        self.entrypoint: List[str] = []
        self.command: List[str] = []

    def carry_out(self, step: Step, *, copies: Sequence[str], check_gpg: bool) -> int:
        """Do what the instruction says; returns an exit code. Raises ValueError for one that is not known."""
        words = step.words
        if step.name == "FROM":
            return self.bootstrap(*SUITES[words], copies=copies, check_gpg=check_gpg)
        if step.name in ("ENV", "ARG"):
            self.env.update(variables(words, self.env))
        elif step.name == "WORKDIR":
            self.folder = words
            (self.root / words.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.name == "USER":
            self.user = words
        elif step.name == "COPY":
            assert words == ". .", words
            return self.copy_checkout()
        elif step.name == "HEALTHCHECK":
            self.health = json.loads(words.partition("CMD ")[2])
        elif step.name == "ENTRYPOINT":
            self.entrypoint = json.loads(words)
        elif step.name == "CMD":
            self.command = json.loads(words)
        elif step.name == "RUN":
            return self.enter(["/bin/sh", "-c", words], {**self.env, **self.extra})
        else:
            raise ValueError(f"{step.name} is not carried out here")
        return 0

    def bootstrap(
        self, suite: str, mirror: str, script: str, components: str, *, copies: Sequence[str], check_gpg: bool
    ) -> int:
        """A minimal system of the distribution."""
        self.root.mkdir(parents=True)
        trust = [] if check_gpg else ["--no-check-gpg"]
        options = ["--variant=minbase", f"--components={components}", *trust]
        command = ["debootstrap", *options, suite, str(self.root), mirror, script]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(done.stdout, file=sys.stderr)
            return done.returncode
        for source, place in [
            ("/etc/resolv.conf", "/etc/resolv.conf"),
            ("/etc/hosts", "/etc/hosts"),
            *map(pair, copies),
        ]:
            target = self.root / place.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(source).read_bytes())
        return 0

    def copy_checkout(self) -> int:
        """What git has of the checkout, as the working tree has it, into the folder in force."""
        names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        pack = subprocess.run(
            ["tar", "-c", "--null", "--owner=0", "--group=0", "-T", "-"], cwd=ROOT, input=names, check=True, stdout=-1
        )
        return subprocess.run(
            ["tar", "-x", "-C", str(self.root / self.folder.lstrip("/"))], input=pack.stdout
        ).returncode

    def enter(self, command: Sequence[str], env: Dict[str, str] = {}) -> int:  # noqa: B006 (it is only read)
        """The exit code of a command in the root, as the user in force."""
        given = [f"{name}={value}" for name, value in (env or self.env).items()]
        user = [] if self.user == "root" else [f"--userspec={self.user}"]
        inside = ["/bin/sh", "-c", f'cd {shlex.quote(self.folder)} && exec "$@"', "sh", *command]
        words = ["chroot", *user, str(self.root), "/usr/bin/env", "-i", *given, *inside]
        unshare = ["unshare", "--mount", "--pid", "--fork", "/bin/sh", "-e", "-c", ENTER, "sh", str(self.root)]
        return subprocess.run([*unshare, *words], stdin=subprocess.DEVNULL).returncode


def pair(text: str) -> Tuple[str, str]:
    """FILE:PLACE as both."""
    source, _, place = text.partition(":")
    return source, place or source


if __name__ == "__main__":
    sys.exit(main())
