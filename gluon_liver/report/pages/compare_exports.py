"""What a comparison has as files: its charts and its tables."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from gluon_liver.report.comparison.compare_runs import WHO
from gluon_liver.report.comparison.comparison_tables import (
    TITLES,
    cause_table,
    configuration_table,
    difference_table,
    lesion_table,
    seed_table,
    short_name,
    single_table,
)
from gluon_liver.report.figures.bars import plot_differences, plot_parts
from gluon_liver.report.figures.chart import Exhibit
from gluon_liver.report.tables.table import Table

WHO_TITLES = dict(zip(WHO, ("both", "A alone", "B alone", "neither")))


def compared_charts(document: Mapping[str, Any], froc: Optional[Exhibit]) -> List[Exhibit]:
    """The page's pictures: differences of each family, who finds the lesions, and both FROC curves where there are."""
    charts = []
    for family, title in TITLES.items():
        rows = [one for one in document["figures"] if one["family"] == family]
        rows = [one for one in rows if one["unit"] == "share" and one["low"] is not None]
        if rows:
            chart = plot_differences([{**one, "name": short_name(one)} for one in rows])
            charts.append(Exhibit(_file_of(family), title, "", title, chart))
    groups = [row for row in document["lesions"]["groups"] if row["n"]]
    if groups:
        names = [f"{row['name']} ({row['n']})" for row in groups]
        parts = {title: [row[key] / row["n"] for row in groups] for key, title in WHO_TITLES.items()}
        charts.append(Exhibit("found", "", "", "Found", plot_parts(names, parts)))
    return [*charts, froc] if froc else charts


def compared_tables(document: Dict[str, Any]) -> Dict[str, Table]:
    """The page's tables that have a row, by the names of their files; of what one arm alone finds, all of it."""
    tables = {_file_of(family): difference_table(document, family) for family in TITLES}
    tables.update({"found": lesion_table(document), "found-by-one": single_table(document, most=None)})
    tables.update(differing_keys=configuration_table(document))
    causes = cause_table(document)
    tables.update(causes=causes) if causes else None
    tables.update(seeds=seed_table(document)) if document["paired_by_seed"] else None
    return {name: table for name, table in tables.items() if table.rows}


def _file_of(family: str) -> str:
    return f"differences-{family.replace(' ', '-')}"
