"""Values that are no HU of a body the right way up."""

import numpy as np
import pytest

from gluon_liver.errors import VolumeError
from gluon_liver.readers.volumes.hu_check import checked
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.slice_mapping import SliceHistory, SliceMapping
from gluon_liver.structures.volume_stack import VolumeStack
from tests.sets.written import small_volume

HU = small_volume(3, (20, 64, 64))[0]


def stack_of(hu):
    mapping = SliceMapping.to_patient_axes((1, 0, 0, 0, 1, 0), hu.shape[1:], (1.0, 1.0)).with_slices(range(len(hu)))
    grid = Geometry((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), hu.shape)

    def decode(put):
        for z in reversed(range(len(hu))):  # in any order
            put(z, hu[z])

    return VolumeStack(grid, mapping, SliceHistory(), decode)


def test_a_body_in_air_passes_as_it_is():
    np.testing.assert_array_equal(checked(stack_of(HU)).read(), HU)


@pytest.mark.parametrize(
    "hu, kind, said",
    [
        (np.clip(HU, 0, 255), "windowed", "from 0 to .* picture of 8 bits"),
        (np.clip(HU, -200, 250), "windowed", "from -200 to .* no air is there"),
        (HU.astype(np.int32) + 1024, "intercept", "the intercept .* is missing"),
        (np.clip(HU - 1024, -1024, None), "intercept", "only 0.0 % of its voxels lie between -200 and 300 HU"),
        (HU[::-1], "upside-down", r"\d+ % of its lowest slices looks like lung and 0 % of its highest"),
    ],
)
def test_what_is_wrong_is_said_and_can_be_accepted(hu, kind, said):
    hu = np.ascontiguousarray(hu, np.int16)
    with pytest.raises(VolumeError, match=f"{said}.*--accept {kind} takes such volumes as they are"):
        checked(stack_of(hu)).read()
    np.testing.assert_array_equal(checked(stack_of(hu), (kind,)).read(), hu)


def test_lungs_at_both_ends_or_in_a_few_slices_say_nothing():
    both = np.concatenate([HU[::-1][:10], HU[10:]])
    assert checked(stack_of(both)).read().shape == both.shape
    few = np.ascontiguousarray(HU[::-1][:6])
    few[0] = HU[0]
    assert checked(stack_of(few)).read().shape == few.shape
