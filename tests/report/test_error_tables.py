from gluon_liver.report.tables.error_tables import causes_table


def test_causes_of_detections_stand_beside_those_of_boxes():
    errors = {
        "score_threshold": 0.5,
        "detections": {"right": 7, "wrong class": 1, "duplicate": 2, "background": 3},
        "objects": {"found": 7, "wrong class": 1, "missed": 4},
    }
    table = causes_table(errors)
    assert table.header == ("cause", "detections", "boxes") and "score 0.5" in table.title
    assert [tuple(map(str, row)) for row in table.rows] == [
        ("right, found", "7", "7"),
        ("wrong class", "1", "1"),
        ("duplicate", "2", "-"),
        ("background", "3", "-"),
        ("missed", "-", "4"),
        ("all", "13", "12"),
    ]
