"""The page of the zoo is what zoo.yaml says."""

from scripts.make_model_zoo import PAGE, page


def test_the_page_of_the_zoo_is_current():
    assert PAGE.read_text(encoding="utf-8") == page()
