"""The tasks by name: what evaluation asks whenever the tasks differ."""

from __future__ import annotations

from typing import Dict

from .ct import CT
from .task import Task
from .us import US

TASKS: Dict[str, Task] = {"ct": CT(), "us": US()}
