"""Charts and tables of a page as files."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree

from gluon_liver.report.exports.files import csv_table
from gluon_liver.report.exports.latex import latex_table
from gluon_liver.report.figures.bars import plot_calibration, plot_shares
from gluon_liver.report.figures.chart import inline_svg
from gluon_liver.report.pages.ct_page import write_report
from gluon_liver.report.pages.us_page import write_us_report
from gluon_liver.report.tables.table import Cell, Table


def test_a_ct_run_has_table_4_in_the_papers_layout(run):
    write_report(run)
    lines = list(csv.reader((run / "tables" / "table-4.csv").open(encoding="utf-8")))
    assert lines[0][0] == "Row" and lines[1][:2] == ["R-50", "as printed"] and lines[2][0] == "this run, top-1"
    latex = (run / "tables" / "table-4.tex").read_text(encoding="utf-8")
    assert r"\begin{tabular}{lccc}" in latex and r"Row & Liver Cyst & Hemangiomas & HCCs \\" in latex
    assert r"R-101 as printed & 78.26 & 72.91 & 76.93 \\" in latex and r"\label{tab:table-4}" in latex
    names = {path.name for path in (run / "figures").iterdir()}
    assert {"froc.png", "froc.svg", "how-good.png", "losses.svg"} <= names
    for path in (run / "figures").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    (run / "tables" / "of-before.csv").write_text("x")
    write_report(run)
    assert not (run / "tables" / "of-before.csv").exists()


def test_an_ultrasound_run_has_tables_1_and_2(us_run):
    write_us_report(us_run)
    first, second = ((us_run / "tables" / f"table-{number}.tex").read_text(encoding="utf-8") for number in (1, 2))
    assert r"Mean AP & 0.549 & 0.530 & " in first and r"AP75 & 0.641 & 0.625 & " in first
    assert r"Tumor & 0.627$\pm$0.390 & 0.456$\pm$0.411 & 0.003 & $-$2.921 & " in second


def test_tables_as_text_of_others():
    table = Table.of("a & b_c", ("", "50 %", "x"), [("r", Cell("1", "[0, 2]", "n 3"), "y,z"), ("s", "2", "#")])
    assert csv_table(table) == ',50 %,50 % [interval],50 % (counts),x\nr,1,"[0, 2]",n 3,"y,z"\ns,2,,,#\n'
    latex = latex_table(table, label="t")
    assert r"\caption{a \& b\_c}" in latex and r" & 50 \% & x \\" in latex and r"r & 1 [0, 2] n 3 & y,z \\" in latex
    assert latex.count(r"\hline") == 3 and r"s & 2 & \# \\" in latex


def test_a_chart_in_a_page_has_its_own_ids_and_the_pages_colours():
    shares = [("<b>a</b> & $x$", 0.5, 0.25, 0.75, "n 8"), ("none", None, None, None, "")]
    chart = plot_shares(shares)
    assert chart == plot_shares(shares) and chart.png.startswith(b"\x89PNG")
    text = inline_svg(chart.svg, name="first", alt='of "a" <b>')
    root = ElementTree.fromstring(text.replace("xlink:href", "href"))
    assert root.get("role") == "img" and root.get("aria-label") == 'of "a" <b>'
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    assert ids and all(one.startswith("first-") for one in ids) and "url(#first-" in text
    assert "var(--curve-0)" in text and "#0072b2" not in text and "http" not in text
    words = "".join(root.itertext())
    assert "<b>a</b> & $x$" in words and "50.0 % \u00b7 n 8" in words and "undefined" in words


def test_calibration_without_a_detection_is_no_chart():
    bins = [dict(low=0.0, high=1.0, n=0, mean_score=None, precision=None)]
    assert plot_calibration(bins) is None
    assert plot_calibration([*bins, dict(low=0.0, high=1.0, n=2, mean_score=0.25, precision=0.5)])
