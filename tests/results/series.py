"""CT series of seven slices, and the lesions that are said to be in them."""

import numpy as np

from tests.readers.ct_writer import ct_dataset, write

HCC, CYST, HEMANGIOMA = 2, 0, 1
# two lesions that overlap in slice 3, and one of one slice
BOXES = [
    (2, [4.0, 6.0, 12.0, 20.0], HCC, 0.9),
    (3, [4.25, 5.5, 13.0, 21.0], HCC, 0.8),
    (3, [10.0, 18.0, 16.0, 23.0], CYST, 0.75),
    (5, [1.0, 2.0, 3.0, 4.0], HEMANGIOMA, 0.7),
]
LYING = {  # orientation -> position of the first pixel of slice 0
    "up": ([1, 0, 0, 0, 1, 0], [-10.0, -20.0, 0.0]),
    "prone": ([-1, 0, 0, 0, -1, 0], [10.0, 20.0, 0.0]),
    "turned": ([0, 1, 0, 1, 0, 0], [-10.0, -20.0, 0.0]),
}


def write_series(folder, *, zs=tuple(2.0 * k for k in range(7)), lying="up", tilt=0.0, shape=(32, 24), **tags):
    """A CT series whose pixels are 0.8 mm high and wide; with tilt the position moves that many mm a mm along y."""
    orientation, (x, y, _) = LYING[lying]
    rng = np.random.default_rng(3)
    for number, z in enumerate(zs):
        pixels = rng.integers(0, 900, shape).astype(np.int16)
        place = dict(ImagePositionPatient=[x, y + tilt * z, z], ImageOrientationPatient=orientation)
        dataset = ct_dataset(**{"instance": number, "pixels": pixels, "PixelSpacing": [0.8, 0.8], **place, **tags})
        write(dataset, folder / f"{tags.get('series', 1)}-{number}.dcm")
    return folder
