"""docs/datasets.md: a row a set in each of its tables, and no other."""

import re
from pathlib import Path

from gluon_liver.sets.registry import LAYOUTS as CT_LAYOUTS
from gluon_liver.sets.us.registry import US_LAYOUTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
LAYOUTS = {**CT_LAYOUTS, **{name: layout for name, layout in US_LAYOUTS.items() if layout.public}}


def rows_of(heading):
    """layout -> cells of its row in the table below a heading."""
    table = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    names = [cells[0].strip("`") for cells in rows[2:]]
    assert len(names) == len({*names})
    return dict(zip(names, rows[2:]))


def test_every_layout_has_a_row_in_both_tables_and_every_row_a_layout_or_says_so():
    sets, uses = rows_of("What there is"), rows_of("What can be done with each")
    assert [*sets] == [*uses]
    built = {name for name, cells in uses.items() if cells[3] != "no importer"}
    public = {name: layout for name, layout in LAYOUTS.items() if layout.public}
    assert built == {*public}
    for name, layout in public.items():
        assert uses[name][3] == layout.tested and f"--layout {name} " in uses[name][1]


def test_every_row_says_what_the_set_has_under_which_licence_and_where_it_is():
    for cells in rows_of("What there is").values():
        assert len(cells) == 6 and all(cells)
        assert re.search(r"doi:10\.\d{4,}/\S+|https?://|arXiv:\d", cells[5])
