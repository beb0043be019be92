"""Which sets ``reproduce --on`` knows, which rows each allows and why not the others, and their configurations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluon_liver.config.load import load_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import ConfigError, InputError

ROWS: Dict[str, Tuple[str, ...]] = {  # of each task's paper, in the order of its table
    "ct": ("r50", "r101", "r50-2.5d", "r101-fusion", "r50-multimodal", "r101-multimodal"),
    "us": ("us-faster-rcnn", "us-flow"),
}
SIZES = ("full", "tiny")
ONE_PICTURE = "its pictures have no frame before them, which the flow is estimated from"


@dataclass(frozen=True)
class Recipe:
    """A public set: its name, which its layout and its configuration fragment on-NAME share.

    phases: of its data; for ultrasound none. refused: rows that it cannot train for another reason than phases.
    patients: whether it tells them; else each picture or scan counts as a patient.
    """

    name: str
    task: str
    phases: Tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    patients: bool = True

    def why_not(self, row: str) -> Optional[str]:
        """Why a row of the task cannot be trained on the set; None where it can."""
        if row in self.refused:
            return self.refused[row]
        if self.task == "ct":
            from gluon_liver.data.ct_dataset import input_phases

            try:
                input_phases(load_config(row), self.phases)
            except ConfigError:
                have = f"the set has {'one' if len(self.phases) == 1 else 'more'}: {', '.join(self.phases)}"
                return f"it relates 2 to 4 phases; {have}"
        return None

    def rows(self, wanted: Optional[Sequence[str]] = None) -> List[str]:
        """Those of ``wanted`` (all that the set allows), in the order of the table.

        Raises :class:`InputError` for a row that is none of the task's, or that the set does not allow.
        """
        known = ROWS[self.task]
        for row in wanted or ():
            if row not in known:
                raise InputError(f"--rows {row}: the rows of {self.name} are {', '.join(known)}")
            reason = self.why_not(row)
            if reason:
                raise InputError(f"--rows {row}: {self.name} cannot train it: {reason}")
        return [row for row in known if (row in wanted if wanted else self.why_not(row) is None)]

    def left_out(self) -> Dict[str, str]:
        """Rows that the set cannot train, with the reason."""
        reasons = {row: self.why_not(row) for row in ROWS[self.task]}
        return {row: reason for row, reason in reasons.items() if reason}

    def config_names(self, row: str, *, size: str, pretrained: bool) -> List[str]:
        """The configurations that are laid over each other for a row."""
        if size == "tiny":
            return ["demo-ct" if row == "r50" else f"demo-{row}", f"on-{self.name}", "size-tiny"]
        start = [] if self.task == "us" else ["recipe-imagenet" if pretrained else "recipe-scratch"]
        return [row, *start, f"on-{self.name}"]

    def config(self, row: str, *, size: str, pretrained: bool, overrides: Sequence[str]) -> Config:
        """The configuration of a row on this set. Raises ConfigError for overrides that cannot be."""
        names = self.config_names(row, size=size, pretrained=pretrained)
        return load_config(names[0], *names[1:], overrides=overrides)


_ALL = (
    Recipe("deeplesion", "ct", ("CT",)),
    Recipe("mct-ltdiag", "ct", ("non_contrast", "arterial", "portal_venous", "delayed")),
    Recipe("lits", "ct", ("portal_venous",), patients=False),
    Recipe("msd-liver", "ct", ("portal_venous",), patients=False),
    Recipe("msd-hepatic-vessel", "ct", ("portal_venous",), patients=False),
    Recipe("3d-ircadb", "ct", ("portal_venous",)),
    Recipe("hcc-tace-seg", "ct", ("segmented", "non_contrast", "arterial", "delayed")),
    Recipe("colorectal-liver-metastases", "ct", ("portal_venous",)),
    Recipe("waw-tace", "ct", ("non_contrast", "arterial", "portal_venous", "delayed")),
    Recipe("aul", "us", refused={"us-flow": ONE_PICTURE}, patients=False),
)
RECIPES: Dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


def flat(tree: Mapping[str, Any], prefix: str = "") -> Dict[str, Any]:
    """Nested mappings as dotted names."""
    found: Dict[str, Any] = {}
    for name, value in tree.items():
        found.update(flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value})
    return found
