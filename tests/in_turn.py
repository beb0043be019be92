"""Commands of the program one after the other in one process of their own: MXNet is imported once for all of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
END = b"\0end of a command\0"


class Ended(NamedTuple):
    """How a command ended and what was said meanwhile, below Python's streams too."""

    code: int
    out: bytes
    err: bytes


def in_turn(commands, *, folder, environment, **options):
    """An :class:`Ended` of each command, a list of words; however one ends, the next is run.

    What the process says at its very end is the last command's. options: of :class:`subprocess.Popen`. Raises
    CalledProcessError where the process itself fails.
    """
    words = json.dumps([[str(word) for word in command] for command in commands])
    process = [sys.executable, "-m", "tests.in_turn", words]
    environment = {**environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(process, cwd=str(folder), env=environment, capture_output=True, **options)
    if done.returncode != 0:
        sys.stderr.write((done.stdout + done.stderr).decode("utf-8", "replace"))
        done.check_returncode()
    *out, last_out = done.stdout.split(END)
    *err, last_err = done.stderr.split(END)
    assert len(out) == len(err) == len(commands)
    ended = [
        Ended(int(code), said, error) for (said, _, code), error in zip((one.rpartition(b"\n") for one in out), err)
    ]
    ended[-1] = ended[-1]._replace(out=ended[-1].out + last_out, err=ended[-1].err + last_err)
    return ended


def run(commands):
    from gluon_liver.commands import main
    from gluon_liver.data.windowed_images import use_cache

    for words in commands:
        use_cache(None)  # what a command before it chose is not for this one
        print(f"\n{main(words)}", end="")
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            stream.buffer.write(END)
            stream.buffer.flush()


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
