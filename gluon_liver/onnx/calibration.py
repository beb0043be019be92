"""Images of a split that no result is told of, in which the ranges of int8 graphs are seen."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Mapping, Optional

import numpy as np
import onnx

from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import TASKS, make_loader
from gluon_liver.errors import DatasetError
from gluon_liver.runs.run import Run

from .quantised import INT8, quantised
from .session import Session

SPLITS = "val", "train"  # that ranges may be seen in
IMAGES = 64  # at most, evenly from the whole split

Feeds = Dict[str, np.ndarray]


class Calibration:
    """Makes int8 graphs of a run's.

    split: of :data:`SPLITS`. Raises :class:`DatasetError` where the data are not of the run's kind, or have no image
    in the split.
    """

    def __init__(self, run: Run, dataset: Dataset, *, split: str = SPLITS[0], images: int = IMAGES):
        if split not in SPLITS:
            raise ValueError(f"ranges are not seen in the split {split}")
        run.check_dataset(dataset)
        there = dataset.labels_of(split)
        if not there:
            advice = "; --calibrate train takes the training patients" if split != "train" else ""
            raise DatasetError(f"{dataset.folder}: the {split} split has no image to see the ranges of int8 in{advice}")
        places = np.unique(np.linspace(0, len(there) - 1, images).round().astype(int))
        self._labels = [there[place] for place in places]
        self._run, self._dataset, self._split = run, dataset, split
        self._frame: Optional[Session] = None

    def __call__(self, name: str, model: onnx.ModelProto) -> onnx.ModelProto:
        """The graph of that name in int8; ``frame`` comes before ``stream``."""
        make: Dict[str, Callable[[Feeds], Feeds]] = {"frame": self._of_frame, "stream": self._of_stream}
        if name == "frame":
            self._frame = Session(model.SerializeToString(), what="frame.onnx")
        feed = make.get(name, dict)
        names = {one.name for one in model.graph.input}
        feeds = (feed(one) for one in self._images())
        return quantised(model, ({key: one[key] for key in names} for one in feeds))

    @property
    def note(self) -> str:
        """What a reader must know of the graphs."""
        where = f"ranges were seen in {len(self._labels)} images of the {self._split} split"
        return f"convolutions compute in int8, whose {where}; no test patient is in it"

    def record(self) -> Dict[str, Any]:
        """What the manifest says: the precision, and in which images its ranges were seen."""
        seen: Mapping[str, Any] = {
            "split": self._split,
            "images": len(self._labels),
            "patients": len({self._dataset.info(label.case).patient for label in self._labels}),
            "digests": self._dataset.digests(self._split),
            "note": self.note,
        }
        return {"precision": INT8, "calibration": seen}

    def _images(self) -> Iterator[Feeds]:
        """Feeds of the whole detector, one image at a time."""
        config, cases = self._run.config, sorted({label.case for label in self._labels})
        load = make_loader(config, self._dataset, cases=cases, progress=False)
        for label in self._labels:
            sample = load(label)
            image = TASKS[config.task].dataset.network_input(sample.image[None])
            yield {"image": image, "present": sample.present[None].astype(np.float32)}

    def _of_frame(self, feed: Feeds) -> Feeds:
        return {"frame": np.ascontiguousarray(feed["image"][:, -1])}

    def _of_stream(self, feed: Feeds) -> Feeds:
        """The current frame, and the one before it, with the maps that float32 has of them."""
        if self._frame is None:
            raise ValueError("stream.onnx reads what frame.onnx gives, which was not made before it")
        frame, previous = (np.ascontiguousarray(feed["image"][:, at]) for at in (-1, 0))
        maps = [self._frame.run({"frame": one})["frame_map"] for one in (frame, previous)]
        return {"frame": frame, "frame_map": maps[0], "previous": previous, "previous_map": maps[1]}
