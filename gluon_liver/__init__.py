"""Liver lesion detection in CT and ultrasound with MXNet Gluon.

Import this package before MXNet: see :mod:`gluon_liver.system.runtime`.
"""

from __future__ import annotations

from gluon_liver.system.runtime import prepare_mxnet

__version__ = "0.1.0"

RUNTIME = prepare_mxnet()
