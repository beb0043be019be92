"""Changed files of every format that the program reads: each is taken or refused with an error of the package.

Hypothesis chooses the changes, the same ones in every run. `make fuzz` looks further.
"""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from . import texts
from .harness import all_targets, run

EXAMPLES = {"dicom-ct": 150, "dicom-seg": 100, "video": 100, "run-folder": 100, "data-folder": 100, "set-cvat": 100}
EXAMPLES.update({"set-labelme": 60, "set-vos": 15, "set-lld-mmri": 15})
EXAMPLES.update({"set-mct-ltdiag": 10, "set-clust": 10, "set-nifti": 20})
# tenths of a second each: `make fuzz`
TOO_SLOW = {"set-3d-ircadb", "set-aul", "set-deeplesion", "set-lits", "set-msd-liver", "set-waw-tace"}
TARGETS = [target for target in all_targets() if target.name not in TOO_SLOW]
DEFAULT = 200


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_changed_file_is_taken_or_refused(target, tmp_path):
    @settings(
        max_examples=EXAMPLES.get(target.name, DEFAULT),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=1, max_size=120))
    def check(recipe):
        run(target, recipe, tmp_path)

    check()


def test_what_is_changed_was_valid(tmp_path):
    """A seed that is refused from the start would leave most of its reader untried."""
    for name, text in texts.UNCHANGED.items():
        (target,) = (one for one in all_targets() if one.name == name)
        target.read(text, tmp_path)
