"""The layouts of public CT sets by name."""

from __future__ import annotations

from typing import Dict, Type

from .deeplesion import DeepLesion
from .layout import Layout

LAYOUTS: Dict[str, Type[Layout]] = {  # a line a set
    DeepLesion.name: DeepLesion,
}
