"""Write docs/reference/commands.md and docs/reference/configuration.md from what the program says of itself.

    python -m scripts.make_reference            writes both
    python -m scripts.make_reference --check    1 where one of them is not current

Every word of them stands in a command's module or in the configuration's schema: change it there, then run this.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Dict, List, Sequence

from gluon_liver.commands import COMMANDS, parser_of
from gluon_liver.commands.names import GROUPS, Words, commands_of
from gluon_liver.commands.parser import module_of, option_help
from gluon_liver.commands.usage import usage
from gluon_liver.config.catalogue import BASE, EXPERIMENT, FRAGMENT, by_kind, described
from gluon_liver.config.explain import KEYS, SECTIONS

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
MADE = "<!-- Made by `python -m scripts.make_reference`; change what it reads, not this file. -->"
PROGRAM = "gluon-liver"
_MOST_UNFOLDED = 6  # options of a command that no reader needs to fold
KIND_TITLES = {
    EXPERIMENT: "Experiments",
    FRAGMENT: "Fragments, laid over an experiment",
    BASE: "What experiments share",
}


def pages() -> Dict[str, str]:
    """File name -> text."""
    return {"commands.md": commands_page(), "configuration.md": configuration_page()}


def commands_page() -> str:
    """Every command with its options and examples."""
    parts = ["# Commands", MADE]
    parts += [
        "`gluon-liver` is `python -m gluon_liver`; `train.py` and `evaluate.py` in a checkout are `gluon-liver train`"
    ]
    parts[-1] += " and `gluon-liver evaluate`. Exit codes: 0 done, 1 a check found something, 2 bad input, 3 training "
    parts[-1] += "failed, 75 stopped by a signal and can be gone on with, 130 interrupted."
    parts += ["```text", usage(PROGRAM), "```"]
    seen = set()
    for words in COMMANDS:
        for command in commands_of(words[0]) if words[0] in GROUPS else [words]:
            if command not in seen:
                seen.add(command)
                parts += command_text(command)
    return _page(parts)


def command_text(words: Words) -> List[str]:
    """A command: what it does, its arguments and options, examples."""
    parser, name = parser_of(words), " ".join(words)
    actions = [action for action in parser._actions if action.dest not in ("help", "quiet")]
    rows = [[_invocation(action), _escaped(option_help(action).replace("%%", "%"))] for action in actions]
    required = [action for action in actions if action.required and action.option_strings]
    parts = [f"## {name}", _paragraphs(parser.description or "")]
    if required:
        needed = " ".join(f"{action.option_strings[-1]} {_metavar(action)}" for action in required)
        parts.append(f"Needs `{needed}`.")
    table = _table(["argument or option", "what it is"], rows)
    parts.append(_folding("options", len(rows), table) if len(rows) > _MOST_UNFOLDED else table)
    examples = [f"# {what}\n{PROGRAM} {name} {arguments}".rstrip() for what, arguments in module_of(words).EXAMPLES]
    return [*parts, "```sh\n" + "\n".join(examples) + "\n```"]


def _invocation(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings)
    return f"`{' '.join(filter(None, [names, _metavar(action)]))}`"


def _metavar(action: argparse.Action) -> str:
    """What stands for the values of an option."""
    if action.nargs == 0:
        return ""
    named = "\\|".join(map(str, action.choices)) if action.choices else action.dest.upper()
    metavar = action.metavar or named
    if isinstance(metavar, tuple):
        return " ".join(metavar)
    return metavar.replace("|", "\\|").replace("\\\\|", "\\|") + (" ..." if action.nargs in ("+", "*") else "")


def configuration_page() -> str:
    """Every key, and every packaged configuration."""
    parts = ["# Configuration", MADE]
    parts.append(
        "Every key with its type, what its value must be, its default, and what it means. `gluon-liver config show "
        "NAME` prints a configuration with all of them, `--set key=value` changes one, and a YAML file of your own "
        "begins with `BASE:` and the name of the configuration that it changes. A key that does not exist is refused."
    )
    for section, title in SECTIONS.items():
        keys = [key for key in KEYS if key.rpartition(".")[0] == section]
        parts += [
            f"## {section or 'model and row'}",
            title.replace("``", "`"),
            _folding("keys", len(keys), _table(_COLUMNS, [_key_row(key) for key in keys])),
        ]
    for kind, names in by_kind().items():
        parts += [
            f"## {KIND_TITLES[kind]}",
            _table(["name", "what it is"], [[f"`{name}`", described(name)] for name in names]),
        ]
    return _page(parts)


_COLUMNS = ["key", "type and limits", "default", "meaning"]


def _key_row(key: str) -> List[str]:
    told = KEYS[key]
    wanted = f"{told.type}; {told.limit}" if told.limit else told.type
    only = f" (of {told.only} alone)" if told.only else ""
    return [f"`{key}`", wanted, f"`{told.shown_default}`", _escaped(told.meaning + only)]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _folding(what: str, count: int, table: str) -> str:
    """A table that a reader can fold; docs/_static/fold.js folds it on telephones."""
    return f'<details class="{what}" open>\n<summary>{count} {what}</summary>\n\n{table}\n\n</details>'


def _escaped(text: str) -> str:
    """Text in a cell of a table."""
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def _paragraphs(text: str) -> str:
    """A docstring as Markdown; indented lines stay as they are."""
    return text.strip().replace("``", "`").replace("*", "\\*")


def _page(parts: Sequence[str]) -> str:
    text = "\n\n".join(parts)
    return text.replace("```text\n\n", "```text\n").replace("\n\n```\n\n##", "\n```\n\n##") + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    stale = [name for name, text in pages().items() if not _is_current(FOLDER / name, text)]
    if args.check:
        print("\n".join(f"{name} is not current: run python -m scripts.make_reference" for name in stale))
        return int(bool(stale))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(pages()[name], encoding="utf-8")
    print(f"written: {', '.join(stale) or 'nothing, both are current'}")
    return 0


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
