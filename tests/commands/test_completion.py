"""Completion in a real bash, and what zsh is given."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_liver.commands import main, parser_of
from gluon_liver.commands.completion import COMPLETERS
from gluon_liver.commands.names import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
# asks bash for what it would offer at the end of each line, and prints it one line a line
ASK = """
eval "$(gluon-liver completion bash)"
function=$(complete -p gluon-liver | sed 's/.*-F \\([^ ]*\\).*/\\1/')
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
    read -ra COMP_WORDS <<<"$COMP_LINE"
    case "$COMP_LINE" in *" ") COMP_WORDS+=("") ;; esac
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    "$function" gluon-liver "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[*]}"
done
"""
LINES = {
    "gluon-liver imp": {"import", "import-legacy"},
    "gluon-liver -q import ": {"ct", "us"},
    "gluon-liver train --conf": {"--config"},
    "gluon-liver train --config recipe-": {"recipe-imagenet", "recipe-scratch"},
    "gluon-liver train --config r50 --set train.warm": {"train.warmup_steps=", "train.warmup_from="},
    "gluon-liver evaluate --split ": {"test", "val", "train"},
    "gluon-liver config explain flow.w": {"flow.width"},
    "gluon-liver table run-": {"run-a/", "run-b/"},
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_options_names_keys_and_files(tmp_path):
    for name in ("run-a", "run-b", "bin"):
        (tmp_path / name).mkdir()
    program = tmp_path / "bin" / "gluon-liver"
    code = "import sys; from gluon_liver.commands import console; sys.argv[0] = 'gluon-liver'; sys.exit(console())"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    program.chmod(0o755)
    env = dict(os.environ, PYTHONPATH=str(ROOT), PATH=f"{program.parent}:{os.environ['PATH']}")
    asked = subprocess.run(
        ["bash", "--norc", "-c", ASK],
        input="\n".join(LINES) + "\n",
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0 and asked.stderr == ""
    assert [set(line.split()) for line in asked.stdout.splitlines()] == list(LINES.values())


def test_what_each_shell_is_told(capsys):
    for shell, word in (("bash", "complete -o"), ("zsh", "compdef")):
        assert main(["completion", shell]) == 0
        assert word in capsys.readouterr().out


def test_names_and_keys_are_offered_for_arguments_that_there_are():
    there = {action.dest for words in COMMANDS for action in parser_of(words)._actions}
    assert set(COMPLETERS) <= there
