"""What was published of a set beside a run: the printed rows, and that other images are said."""

import pytest

from gluon_liver.errors import InputError
from gluon_liver.metrics.covering import covering_summary
from gluon_liver.report.tables.published import PUBLISHED, check_published, published_notes, published_tables
from tests.metrics.images import BOX, ELSE, FAR, image

KNOWN = PUBLISHED["deeplesion"]


def summary(results, split="test"):
    froc = covering_summary(results, fp_rates=KNOWN.rates, replicates=20)
    return {"published": {"set": "deeplesion", "split": split, **froc}}


@pytest.fixture
def part():
    found = [(0, 0.9, BOX), (0, 0.8, ELSE)]
    return summary([image(1, "a", gt=[(0, BOX)], found=found), image(2, "b", gt=[(0, FAR)], found=found[1:])])


def test_the_printed_rows_are_those_of_the_logs():
    logs = {  # "Sensitivity @ [0.5, 1, 2, 4, 8, 16] average FPs per image" on the test split
        "3DCE, 27 slices": [0.62479642, 0.73371336, 0.80700326, 0.85647394, 0.89087948, 0.91062704],
        "its Faster R-CNN, 3 slices": [0.56901466, 0.67263844, 0.75570033, 0.8161645, 0.85830619, 0.88741857],
    }
    assert {row: [f"{100 * value:.2f}" for value in values] for row, values in logs.items()} == {
        row: [cell.text for cell in cells] for row, cells in KNOWN.rows.items()
    }
    assert (KNOWN.images, KNOWN.boxes, KNOWN.images_with_noisy, KNOWN.boxes_with_noisy) == (4817, 4912, 4831, 4927)


def test_ours_stands_below_with_its_number_of_images(part):
    (table,) = published_tables(part)
    assert table.header == ("", "images", "lesions", "0.5", "1", "2", "4", "8", "16")
    assert [cell.value for cell in table.rows[0]][:4] == ["3DCE, 27 slices", "4,817", "4,912", "62.48"]
    assert [cell.value for cell in table.rows[2]] == ["this run", "2", "2", *["50.0"] * 6]
    assert max(map(len, table.text().splitlines())) <= 150


def test_another_set_is_said(part):
    assert (
        "NOT the same set: this run is scored on 2 images with 2 lesions of the test split" in published_notes(part)[-1]
    )
    part["published"].update(images=4817, boxes=4912)
    assert "As many images and lesions" in published_notes(part)[-1]
    part["published"]["split"] = "val"
    assert "of the val split" in published_notes(part)[-1]
    assert published_tables(part)[0].rows[2][0].value == "this run, val split"


def test_a_summary_without_says_nothing_and_a_damaged_one_is_refused(part):
    assert published_tables({}) == published_notes({}) == []
    check_published({})
    check_published(part)
    for damage in ({"set": "lits"}, {"froc": {}}, {"images": None}, {"split": None, "froc": None}):
        with pytest.raises(InputError, match="published; evaluate again"):
            check_published({"published": {**part["published"], **damage}})
