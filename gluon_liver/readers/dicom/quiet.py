"""pydicom without its warnings, which quote tag values."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's warnings off the screen: they quote tag values.

    What matters for the pixels is checked here and raised as typed errors.
    """
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
