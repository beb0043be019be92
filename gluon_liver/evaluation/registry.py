"""How the tasks of :data:`gluon_liver.data.open.TASKS` are scored: the same names, what evaluation alone asks."""

from __future__ import annotations

from typing import Dict

from .ct import CT
from .task import Task
from .us import US

EVALUATIONS: Dict[str, Task] = {"ct": CT(), "us": US()}
