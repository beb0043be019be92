"""What a layout of an ultrasound set or of a label tool gives the import: recordings, labels as COCO, official splits.

A layout is one small file: it lists files, reads labels, and opens no picture but for its size.
"""

from __future__ import annotations

import abc
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.files.json_records import ARCHIVES
from gluon_liver.files.listing import list_files
from gluon_liver.labels.source import AS_GIVEN, LabelOptions
from gluon_liver.labels.us import made_source_labels
from gluon_liver.prepare.us import USSource, reader
from gluon_liver.readers.image_size import image_size
from gluon_liver.structures.frame_source import IMAGE_ENDINGS, Box

WHOLE = "the pictures of this set are taken whole, as its authors publish them, text that is burned in too"


@dataclass(frozen=True)
class Given:
    """What the command line says of a layout. Fields that a layout does not list in ``takes`` must be left alone.

    labels: COCO files for a set that has no boxes. box_mm, box_pixels: side of the boxes around points. b_mode: which
    half of a frame with both modes. by_folder: a folder of pictures is a recording, of which they are the frames.
    """

    labels: Sequence[Path] = ()
    label_options: LabelOptions = AS_GIVEN
    region: Optional[Box] = None
    whole_frame: bool = False
    box_mm: Optional[float] = None
    box_pixels: Optional[float] = None
    b_mode: Optional[str] = None
    by_folder: bool = False


@dataclass
class LabelTree:
    """Labels of a set, being made into one COCO object.

    left_out: (path, reason) of pictures that cannot be labelled. counts: what a user should know -> how often.
    """

    images: List[Dict[str, Any]] = field(default_factory=list)
    annotations: List[Dict[str, Any]] = field(default_factory=list)
    categories: Dict[str, int] = field(default_factory=dict)
    left_out: List[Tuple[str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def image(self, video: str, size: Tuple[int, int], **entry: Any) -> int:
        """List a labelled picture or frame, which is background without a box; returns its id.

        size: (width, height) of the whole picture. entry: frame, scene, patient, file_name (of a picture of the folder
        ``video``), as :func:`load_source_labels` reads them.
        """
        number = len(self.images) + 1
        self.images.append({"id": number, "video": video, "width": size[0], "height": size[1], **entry})
        return number

    def _add(self, image: int, name: str, shape: Dict[str, Any]) -> None:
        category = self.categories.setdefault(name, len(self.categories) + 1)
        number = len(self.annotations) + 1
        self.annotations.append({"id": number, "image_id": image, "category_id": category, **shape})

    def box(self, image: int, name: str, corners: Sequence[float], rotation: float = 0.0) -> None:
        """A box (x1, y1, x2, y2), turned by degrees about its centre."""
        x1, y1, x2, y2 = corners
        self._add(image, name, {"bbox": [x1, y1, x2 - x1, y2 - y1], "attributes": {"rotation": rotation}})

    def polygons(self, image: int, name: str, polygons: Sequence[Sequence[Sequence[float]]]) -> None:
        """The box around polygons of points (x, y)."""
        flat = [[value for point in polygon for value in point] for polygon in polygons]
        self._add(image, name, {"segmentation": flat})

    def coco(self, classes: Iterable[str] = ()) -> Dict[str, Any]:
        """The object; classes: those that the set has, also where no picture shows one."""
        for name in classes:
            self.categories.setdefault(name, len(self.categories) + 1)
        categories = [{"id": number, "name": name} for name, number in self.categories.items()]
        return {"images": self.images, "annotations": self.annotations, "categories": categories}


class Pictures:
    """What is below a folder, by its path in it.

    files: all of them. pictures: those that are images. folders: name of a folder, as labels call its recording -> its
    pictures by the order of their names. paths: of these folders.
    """

    def __init__(self, source: Path):
        if not source.is_dir():
            raise InputError(f"{source}: there is no such folder")
        listing = list_files(source, skip_closed=True)
        below = {path.relative_to(source).as_posix(): path for path in listing.paths}
        # Finder writes its own files beside each of an archive's
        hidden = {name for name in below if any(part[0] == "." or part == "__MACOSX" for part in name.split("/"))}
        self.source, self.notes = source, listing.notes()
        self.files: Dict[str, Path] = {name: path for name, path in below.items() if name not in hidden}
        self.pictures = {name: path for name, path in self.files.items() if name.lower().endswith(IMAGE_ENDINGS)}
        self.folders: Dict[str, List[str]] = {}
        self.paths: Dict[str, Path] = {}
        for name in sorted(self.pictures):
            self.folders.setdefault(self.folder_of(name), []).append(name)
            self.paths[self.folder_of(name)] = self.pictures[name].parent

    def folder_of(self, picture: str) -> str:
        """The name of a picture's folder, which is a recording where the pictures are its frames."""
        return picture.rpartition("/")[0] or self.source.resolve().name

    def refuse(self, what: str) -> InputError:
        """The error where there is nothing of the layout. what: was looked for."""
        packed = sum(_is_archive(path) for path in self.files.values())
        unpack = f"; {packed} file(s) are archives: unpack them first" if packed else ""
        return InputError(f"{self.source}: none of its {len(self.files)} file(s) is {what}{unpack}")

    def size(self, name: str, tree: LabelTree) -> Optional[Tuple[int, int]]:
        """(width, height) of a picture; None, with its reason in ``tree``, for one that cannot be read."""
        try:
            return image_size(self.pictures[name])
        except InputError as error:
            tree.left_out.append((name, str(error)))
            return None


class USLayout(abc.ABC):
    """One set, or what one label tool writes.

    name: as ``--layout`` takes it. title: as its authors call it. public: its names are public, so the salt is, and its
    pictures are taken whole where no region is given. takes: of :class:`Given`, beside label_options, region and
    whole_frame. tested: "layout" where only files that tests wrote went in, "real files" where those of the set did.
    classes: usual ones; boxes of others make these the classes. stills: as of :class:`USSource`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    public: ClassVar[bool] = False
    tested: ClassVar[str] = "layout"
    takes: ClassVar[Tuple[str, ...]] = ()
    classes: ClassVar[Tuple[str, ...]] = ()
    stills: ClassVar[str] = ""

    @abc.abstractmethod
    def find(self, source: Path, given: Given) -> USSource:
        """What is below ``source``. Raises :class:`InputError` that says what was looked for where there is nothing."""

    def made(
        self,
        files: Pictures,
        tree: LabelTree,
        recordings: Mapping[str, Path],
        given: Given,
        *,
        notes: Sequence[str] = (),
        splits: Mapping[str, str] = {},
    ) -> USSource:
        """The source of labels that were made into COCO. splits: recording -> official split; fewer than two are none.

        Raises AnnotationError for labels that are wrong.
        """
        where = f"{files.source} (layout {self.name})"
        if not tree.images:
            reasons = Counter(reason for _, reason in tree.left_out)
            why = [f"{count} picture(s): {reason}" for reason, count in reasons.items()]
            raise AnnotationError("\n".join([f"{where}: no picture has labels", *why]))
        labels = made_source_labels(where, tree.coco(self.classes), self.classes, given.label_options)
        whole = self.public and given.region is None
        told = [*files.notes, *notes, *(f"{count} {text}" for text, count in tree.counts.items() if count)]
        return USSource(
            files.source,
            labels,
            where,
            {name: str(path) for name, path in sorted(recordings.items())},
            reader(given.region, given.whole_frame or whole),
            [*([WHOLE] if whole else []), *told],
            splits if len(set(splits.values())) > 1 else {},
            tree.left_out,
            self.public,
            self.stills,
            len(files.files),
        )


def _is_archive(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4).startswith(tuple(ARCHIVES))
    except OSError:
        return False
