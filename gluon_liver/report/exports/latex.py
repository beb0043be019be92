"""Tables as LaTeX, as the papers set theirs: a caption above, rules above and below the head, and at the end."""

from __future__ import annotations

from gluon_liver.report.tables.table import Cell, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\u00b1": r"$\pm$",
    "\u2212": r"$-$",
    "\u2026": r"\ldots{}",
    "\u201c": "``",
    "\u201d": "''",
}


def latex_table(table: Table, *, label: str) -> str:
    """A ``table`` environment with a ``tabular`` in it; needs no package.

    label: of ``\\ref``, after "tab:". The first column stands left, others centred; intervals and counts follow their
    values.
    """
    head = " & ".join(map(escaped, table.header))
    rows = [" & ".join(map(_cell, row)) for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}[htb]",
            r"\centering",
            rf"\caption{{{escaped(table.title)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{l{'c' * (len(table.header) - 1)}}}",
            r"\hline",
            rf"{head} \\",
            r"\hline",
            *(rf"{row} \\" for row in rows),
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """A text in which LaTeX finds no command; letters that it needs a package for stay as they are."""
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def _cell(cell: Cell) -> str:
    return " ".join(escaped(part) for part in cell if part)
