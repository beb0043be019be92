"""The layouts of ultrasound sets and label tools by name."""

from __future__ import annotations

from typing import Dict, Tuple, Type

from .aul import AUL
from .b_mode_ceus import BModeCEUS
from .clust import CLUST
from .cvat import CVAT
from .labelme import LabelMe
from .layout import USLayout
from .vos import VOS

_ALL: Tuple[Type[USLayout], ...] = (AUL, CLUST, BModeCEUS, LabelMe, CVAT, VOS)
US_LAYOUTS: Dict[str, Type[USLayout]] = {one.name: one for one in _ALL}
