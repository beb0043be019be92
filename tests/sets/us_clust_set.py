"""Writes sequences in the form of CLUST 2D; returns the points: (sequence, frame) -> [(x, y)] as its files count."""

from __future__ import annotations

import zlib

from .us_picture import picture, write_picture

SIZE = (72, 64)
SPACING = (0.5, 0.4)


def write_clust(folder, sequences=("CIL-01", "ETH-01-1", "ETH-01-2"), tests=(), frames=12, every=5, landmarks=2):
    """Every ``every``-th frame is annotated, of ``tests`` the first one alone; files count frames and pixels from 1."""
    truth = {}
    for kind, names in (("TrainingSet", sequences), ("TestSet", tests)):
        for place, name in enumerate(names):
            root = folder / kind / "2D" / name
            digits, annotated = 4 + place % 2, range(1, 2 if kind == "TestSet" else frames + 1, every)
            for frame in range(1, frames + 1):
                pixels = picture(
                    SIZE, [(10 + frame, 8, 26 + frame, 24)], seed=frame + zlib.crc32(name.encode()) % 10_000
                )
                write_picture(root / "Data" / f"{frame:0{digits}d}.png", pixels)
            (root / "Annotation").mkdir()
            for landmark in range(1, landmarks + 1):
                points = {frame: (18.5 + frame + landmark, 16.25 + 10 * landmark) for frame in annotated}
                lines = [f"{frame} {x:.4f} {y:.4f}" for frame, (x, y) in points.items()]
                (root / "Annotation" / f"{name}_{landmark}.txt").write_text("\n".join(lines) + "\n")
                for frame, point in points.items():
                    truth.setdefault((name, frame), []).append(point)
    names = [*sequences, *tests]
    rows = [f"{name},   {SPACING[0]},   {SPACING[1]}" for name in names]
    (folder / "resolution.csv").write_text("\n".join(["scan,   res_x,   res_y", *rows]) + "\n")
    return truth
