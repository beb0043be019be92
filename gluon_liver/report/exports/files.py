"""Every chart of a page as PNG and SVG, every table as CSV and LaTeX, in folders beside it."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import List, Mapping, Sequence

from gluon_liver.files.atomic import whole_file, write_text
from gluon_liver.report.figures.chart import Exhibit
from gluon_liver.report.tables.table import Table

from .latex import latex_table

FIGURES, TABLES = "figures", "tables"


def write_exports(folder: Path, exhibits: Sequence[Exhibit], tables: Mapping[str, Table]) -> List[str]:
    """Write FOLDER/figures/NAME.{png,svg} and FOLDER/tables/NAME.{csv,tex}, in place of what was there.

    tables: by the names of their files. Returns the paths below FOLDER, figures first.
    """
    for name in (FIGURES, TABLES):
        shutil.rmtree(str(folder / name), ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for exhibit in exhibits:
        with whole_file(folder / FIGURES / f"{exhibit.name}.png", "wb") as stream:
            stream.write(exhibit.chart.png)
        write_text(folder / FIGURES / f"{exhibit.name}.svg", exhibit.chart.svg)
    for name, table in tables.items():
        write_text(folder / TABLES / f"{name}.csv", csv_table(table))
        write_text(folder / TABLES / f"{name}.tex", latex_table(table, label=name))
    return names_of(exhibits, tables)


def names_of(exhibits: Sequence[Exhibit], tables: Mapping[str, Table]) -> List[str]:
    """The files of :func:`write_exports` below its folder, figures first."""
    figures = [f"{FIGURES}/{exhibit.name}.{ending}" for exhibit in exhibits for ending in ("png", "svg")]
    return figures + [f"{TABLES}/{name}.{ending}" for name in tables for ending in ("csv", "tex")]


def csv_table(table: Table) -> str:
    """A table with commas: a column of values each, and where a column has intervals or counts one of these beside
    it."""
    columns = [
        [0, *(part for part in (1, 2) if any(row[place][part] for row in table.rows))]
        for place in range(len(table.header))
    ]
    kinds = ("", " [interval]", " (counts)")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([name + kinds[part] for name, parts in zip(table.header, columns) for part in parts])
    for row in table.rows:
        writer.writerow([cell[part] for cell, parts in zip(row, columns) for part in parts])
    return stream.getvalue()
