"""Series that hold several acquisitions, and series of one acquisition whose tags change from slice to slice."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.archive.scan import scan_folder
from gluon_liver.errors import MixedSeriesError
from tests.readers.loaded import load_series

from .ct_writer import ct_dataset, enhanced_dataset, item, uid, write

STEP = 2.5


def stack(n=12, z0=0.0, step=STEP, up=True, **tags):
    """(z, tags) of one stack; tags may be functions of the slice number in the order of scanning."""
    order = range(n) if up else range(n - 1, -1, -1)
    return [
        (round(z0 + step * i, 4), {k: v(t) if callable(v) else v for k, v in tags.items()}) for t, i in enumerate(order)
    ]


def clock(start, per_slice=0.0):
    return lambda i: (
        f"{10 + int(start + per_slice * i) // 3600:02d}{int(start + per_slice * i) // 60 % 60:02d}"
        + (f"{(start + per_slice * i) % 60:09.6f}")
    )


def counting(start):
    return lambda i: start + i


def offsets(distance, n=3, **tags):
    """n stacks, each `distance` higher than the last; tags: functions of the stack's number."""
    return [one for k in range(n) for one in stack(z0=k * distance, **{name: of(k) for name, of in tags.items()})]


def number(k):
    return k + 1


def rounded(step, decimals, n=24):
    return [(round(step * i, decimals), {"InstanceNumber": i + 1}) for i in range(n)]


def scan_of(tmp_path, slices):
    for i, (z, tags) in enumerate(slices):
        folder = tags.pop("folder", "a")
        if tags.get("AcquisitionNumber", 0) is None:
            del tags["AcquisitionNumber"]
        tags = {"InstanceNumber": None, "pixels": np.full((4, 4), i, np.int16), **tags}
        write(ct_dataset(instance=i, z=z, **tags), tmp_path / folder / f"{i:03d}.dcm")
    return scan_folder(tmp_path)


SPLIT = {  # series of three acquisitions of twelve slices, and what tells them apart
    "number, one place": (offsets(0, AcquisitionNumber=number), "AcquisitionNumber"),
    "number, 1 mm apart": (offsets(1.0, AcquisitionNumber=number), "AcquisitionNumber"),
    "number, half a slice": (offsets(STEP / 2, 2, AcquisitionNumber=number), "AcquisitionNumber"),
    "number, third of a slice, even together": (offsets(STEP / 3, AcquisitionNumber=number), "AcquisitionNumber"),
    "temporal position": (offsets(0, TemporalPositionIdentifier=number), "TemporalPositionIdentifier"),
    "acquisition time of the phase": (offsets(0, AcquisitionTime=lambda k: clock(40 * k)), "acquisition time"),
    "acquisition time of the slice": (
        offsets(STEP / 2, 2, AcquisitionNumber=lambda k: 1, AcquisitionTime=lambda k: clock(40 * k, 0.1)),
        "acquisition time",
    ),
    "date and time": (offsets(0, AcquisitionDateTime=lambda k: "20200101" + clock(40 * k)(0)), "acquisition time"),
    "content time without a pause": (offsets(1.0, ContentTime=lambda k: clock(6 * k, 0.5)), "content time"),
    "content time with pauses": (offsets(1.0, ContentTime=lambda k: clock(60 * k, 0.5)), "content time"),
    "a number for each slice": (offsets(1.0, AcquisitionNumber=lambda k: counting(1 + 12 * k)), "AcquisitionNumber"),
    "scanned to and fro": (
        stack(AcquisitionNumber=counting(1)) + stack(z0=1.25, up=False, AcquisitionNumber=counting(13)),
        "AcquisitionNumber",
    ),
    "the same numbers of table positions, other times": (
        offsets(0, AcquisitionNumber=lambda k: lambda i: i // 4 + 1, AcquisitionTime=lambda k: clock(60 * k, 1)),
        "acquisition time",
    ),
    "instance numbers that go on": (offsets(0, InstanceNumber=lambda k: counting(1 + 12 * k)), "InstanceNumber"),
    "instance numbers at half a slice": (
        offsets(STEP / 2, 2, InstanceNumber=lambda k: counting(1 + 12 * k)),
        "InstanceNumber",
    ),
    "instance numbers that begin anew": (offsets(STEP / 2, 2, InstanceNumber=lambda k: counting(1)), "positions"),
    "positions": (offsets(1.0), "positions"),
    "positions and one number": (offsets(1.0, 2, AcquisitionNumber=lambda k: 1), "positions"),
    "whole millimetres": ([one for k in (0, 1) for one in stack(z0=k, step=3.0)], "positions"),
    "a number that some lack": (stack() + stack(z0=STEP / 2, AcquisitionNumber=1), "AcquisitionNumber"),
    "thick and thin slices": (
        stack(step=5.0, SliceThickness="5", InstanceNumber=1) + stack(SliceThickness="2.5", InstanceNumber=1),
        "thickness, kernel or voltage",
    ),
    "two kernels": (offsets(0, 2, ConvolutionKernel=lambda k: "BI"[k] + "30f"), "thickness, kernel or voltage"),
    "two kernels of two phases": (
        [
            one
            for k in range(4)
            for one in stack(AcquisitionNumber=k // 2 + 1, ConvolutionKernel="BI"[k % 2] + "30f", InstanceNumber=1)
        ],
        "AcquisitionNumber, thickness, kernel or voltage",
    ),
    "numbers of series that lost their UIDs": (
        offsets(0, SeriesNumber=lambda k: k + 2, InstanceNumber=lambda k: counting(1)),
        "SeriesNumber, SeriesDescription or contrast agent",
    ),
    "a contrast agent": (
        stack() + stack(ContrastBolusAgent="Iomeron"),
        "SeriesNumber, SeriesDescription or contrast agent",
    ),
    "folders": (offsets(0, folder=lambda k: "abc"[k]), "folder"),
    "chest and abdomen that overlap": (
        stack(AcquisitionNumber=1) + stack(z0=11 * STEP, AcquisitionNumber=2),
        "AcquisitionNumber",
    ),
    "chest and abdomen far apart": (
        stack(AcquisitionNumber=1) + stack(z0=40 * STEP, AcquisitionNumber=2),
        "AcquisitionNumber",
    ),
    "chest and abdomen of other spacing": (
        stack(AcquisitionNumber=1) + stack(z0=12 * STEP, step=5.0, AcquisitionNumber=2),
        "AcquisitionNumber",
    ),
}


@pytest.mark.parametrize("slices, told_by", SPLIT.values(), ids=SPLIT)
def test_acquisitions_are_told_apart(tmp_path, slices, told_by):
    series = scan_of(tmp_path, [(z, dict(tags)) for z, tags in slices]).series
    assert {one.told_by for one in series} == {told_by}
    assert [one.name for one in series] == [f"series 01 acquisition {k + 1}" for k in range(len(slices) // 12)]
    for one in series:
        volume = load_series(one)
        first = int(volume.hu.min())
        assert sorted(volume.hu[:, 0, 0]) == list(range(first, first + 12)) and first % 12 == 0, "woven together"
    if told_by != "positions":
        assert [int(load_series(one).hu.min()) for one in series] == [12 * k for k in range(len(series))]


WHOLE = {  # series of one acquisition
    "no tags": stack(24),
    "a number for each slice": stack(24, AcquisitionNumber=counting(1)),
    "a number for each slice, downwards": stack(24, up=False, AcquisitionNumber=counting(1)),
    "a number for each table position": stack(24, AcquisitionNumber=lambda i: i // 4 + 1),
    "times that rise": stack(24, AcquisitionTime=clock(0, 0.1), ContentTime=clock(5, 0.2)),
    "times of table positions": stack(24, AcquisitionTime=lambda i: clock(3 * (i // 4))(0), ContentTime=clock(5, 0.2)),
    "content times out of order": stack(24, ContentTime=lambda i: clock(i ^ 1)(0), InstanceNumber=counting(1)),
    "content times of two machines": stack(24, ContentTime=lambda i: clock(2 * (i % 12) + i // 12)(0)),
    "table positions out of order": stack(24, AcquisitionNumber=lambda i: [3, 1, 4, 2, 6, 5][i // 4]),
    "chest and abdomen in line": stack(AcquisitionNumber=1, AcquisitionTime=clock(0))
    + stack(z0=12 * STEP, AcquisitionNumber=2, AcquisitionTime=clock(30)),
    "instance numbers at random": stack(24, InstanceNumber=lambda i: int("7294183650"[i % 10]) + i // 10 * 10),
    "thickness that changes": stack(24, SliceThickness=lambda i: "1.25" if i % 3 else "1.2499"),
    "a number that some lack": stack(24, AcquisitionNumber=lambda i: None if i in (3, 4, 17) else 1),
    "folders of eight files": stack(24, folder=lambda i: "abc"[i // 8]),
    "folders at random": stack(24, folder=lambda i: "abacbcacbabccabbcacbabca"[i]),
    "rounded to a tenth": rounded(1.25, 1),
    "rounded to whole millimetres": rounded(2.5, 0),
}


@pytest.mark.parametrize("slices", WHOLE.values(), ids=WHOLE)
def test_one_acquisition_stays_whole(tmp_path, slices):
    (series,) = scan_of(tmp_path, [(z, dict(tags)) for z, tags in slices]).series
    assert series.address == uid(1, 1) and len(series.slices) == 24 and not series.told_by


REFUSED = {  # series that are refused with their faults, which are no acquisitions
    "a slice twice": stack(24, InstanceNumber=counting(1)) + [(25.0, {"InstanceNumber": 30})],
    "a slice twice, in its place": [
        (z, {"InstanceNumber": i, "ContentTime": clock(i)(0), "AcquisitionNumber": i + 1})
        for i, z in enumerate(sorted([STEP * i for i in range(24)] + [25.0]))
    ],
    "a slice is missing": [one for i, one in enumerate(stack(25, AcquisitionNumber=lambda i: i // 4)) if i != 8],
    "files are missing": [one for i, one in enumerate(stack(36, ContentTime=clock(0, 0.5))) if not 8 < i < 20],
}


@pytest.mark.parametrize("slices", REFUSED.values(), ids=REFUSED)
def test_faults_of_one_acquisition_are_not_taken_for_several(tmp_path, slices):
    (series,) = scan_of(tmp_path, [(z, dict(tags)) for z, tags in slices]).series
    assert not series.told_by and len(series.slices) == len(slices)


def test_the_numbers_of_acquisitions_are_their_own(tmp_path):
    slices = stack(AcquisitionNumber=3) + stack(AcquisitionNumber=7)
    assert [one.address for one in scan_of(tmp_path, slices).series] == [f"{uid(1, 1)} acquisition {n}" for n in (3, 7)]


def test_images_of_a_bolus_tracking_are_strays(tmp_path):
    slices = [(5.0, {"AcquisitionNumber": n}) for n in range(1, 6)] + stack(AcquisitionNumber=6)
    scan = scan_of(tmp_path, slices)
    assert [(one.address, len(one.slices)) for one in scan.series] == [(uid(1, 1), 12)]
    assert [(one.kind, one.images) for one in scan.rejected] == [("mixed-series", 5)]
    assert "acquisitions of one or two images or places (AcquisitionNumber)" in scan.rejected[0].reason


def test_many_images_of_a_bolus_tracking_at_one_place_are_strays(tmp_path):
    tracking = [(12.5, {"AcquisitionNumber": 1, "InstanceNumber": i}) for i in range(8)]
    scan = scan_of(tmp_path, tracking + stack(AcquisitionNumber=2))
    (series,) = scan.series
    assert (series.acquisition, len(series.slices), len(load_series(series).hu)) == (0, 12, 12)
    assert [(one.kind, one.images) for one in scan.rejected] == [("mixed-series", 8)]


def test_slices_that_a_tool_wrote_otherwise_belong_to_their_stack(tmp_path):
    bits = dict(BitsStored=12, HighBit=11)
    digits = dict(ImageOrientationPatient=[0.99999, 0.0006, 0, -0.0006, 0.99999, 0], PixelSpacing=[0.50006, 0.5])
    for name, other in (("bits", bits), ("digits", digits)):
        for kind, odd in (("halves", range(6)), ("alternating", range(0, 12, 2))):
            slices = stack(InstanceNumber=counting(1))
            for i in odd:
                slices[i][1].update(other)
            (series,) = scan_of(tmp_path / name / kind, slices).series
            assert load_series(series).hu[:, 0, 0].tolist() == list(range(12))


def test_acquisitions_of_an_enhanced_file(tmp_path):
    frames = np.stack([np.full((4, 4), i, np.int16) for i in range(12)])
    ds = enhanced_dataset(frames, zs=[2.0 * (i // 2) for i in range(12)], intercepts=[0] * 12)
    for i, group in enumerate(ds.PerFrameFunctionalGroupsSequence):
        group.FrameContentSequence = [item(TemporalPositionIndex=i % 2 + 1)]
    write(ds, tmp_path / "e.dcm")
    first, second = scan_folder(tmp_path).series
    assert (first.acquisition, second.acquisition, first.told_by) == (1, 2, "TemporalPositionIdentifier")
    assert load_series(first).hu[:, 0, 0].tolist() == [0, 2, 4, 6, 8, 10]
    assert load_series(second).sop_instance_uids[0] == f"{uid(1, 1, 1)}#2"


def test_frames_that_are_counted_phase_after_phase_are_acquisitions(tmp_path):
    frames = np.stack([np.full((4, 4), i, np.int16) for i in range(12)])
    write(enhanced_dataset(frames, zs=[2.0 * (i % 6) for i in range(12)], intercepts=[0] * 12), tmp_path / "e.dcm")
    first, second = scan_folder(tmp_path).series
    assert first.told_by == "frame number" and load_series(second).hu[:, 0, 0].tolist() == [6, 7, 8, 9, 10, 11]


def test_enhanced_files_of_one_series_are_acquisitions(tmp_path):
    for k in range(2):
        frames = np.full((6, 4, 4), k, np.int16)
        write(
            enhanced_dataset(frames, zs=[2.0 * i + k for i in range(6)], intercepts=[0] * 6, instance=k),
            tmp_path / f"{k}",
        )
    assert [one.told_by for one in scan_folder(tmp_path).series] == ["multi-frame file"] * 2


def test_copies_that_complete_a_series_are_one_derived_stack(tmp_path):
    slices = stack()
    for i in (3, 4, 9):
        slices[i][1]["ImageType"] = ["DERIVED", "PRIMARY", "AXIAL"]
    scan = scan_of(tmp_path, slices)
    (series,) = scan.series
    assert (series.kind, len(series.slices)) == ("derived", 12) and series.kind_reason.startswith("3 of its 12 images")


def anatomy(i, enhancement, noise=20.0):
    """Slice i of a body that changes by 4 HU a slice, with an organ that takes up contrast."""
    rng = np.random.default_rng(1000 * int(enhancement) + i)
    hu = np.full((48, 48), 40.0 + 4.0 * (i % 40)) + rng.normal(0, noise, (48, 48))
    hu[8:28, 6:30] += enhancement
    return hu.astype(np.int16)


def test_phases_that_no_tag_tells_apart_are_not_woven(tmp_path):
    def scanned(name, *phases):
        folder = tmp_path / name
        slices = [
            (STEP * i + STEP * k / len(phases), {"pixels": anatomy(i, enhancement)})
            for k, enhancement in enumerate(phases)
            for i in range(16)
        ]
        (series,) = scan_of(folder, sorted(slices, key=lambda one: one[0])).series
        return series

    for name, phases in (("two", (0, 50)), ("three", (0, 80, 40))):
        with pytest.raises(MixedSeriesError, match=f"holds {len(phases)} stacks woven into one.*folder of its own"):
            load_series(scanned(name, *phases))
    assert len(load_series(scanned("one", 50)).hu) == 16
    # slices that differ by noise alone, by a step in the middle, by rows of the detector that alternate by 2 HU
    for name, extra in (("noise", lambda i: 0), ("step", lambda i: 60 * (i > 11)), ("rows", lambda i: 2 * (i % 2))):
        slices = [(STEP * i, {"pixels": (anatomy(0, 0) + extra(i)).astype(np.int16)}) for i in range(24)]
        assert len(load_series(scan_of(tmp_path / name, slices).series[0]).hu) == 24


def test_derived_slices_between_plain_ones_are_not_woven_in(tmp_path):
    slices = stack() + stack(z0=1.25, ImageType=["DERIVED", "PRIMARY", "AXIAL"])
    parts = scan_of(tmp_path / "two", slices).series
    assert [(one.kind, len(one.slices)) for one in parts] == [("", 12), ("derived", 12)]
    # an archive compressed every second slice: they were counted along the one stack that they are
    slices = stack(InstanceNumber=counting(1))
    for _, tags in slices[::2]:
        tags["ImageType"] = ["DERIVED", "PRIMARY", "AXIAL"]
    (whole,) = scan_of(tmp_path / "one", slices).series
    assert (whole.kind, len(whole.slices)) == ("derived", 12)
