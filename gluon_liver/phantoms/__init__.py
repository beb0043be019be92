"""Synthetic studies with known lesions."""

from __future__ import annotations

from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.ct.folder import write_ct_phantoms
from gluon_liver.phantoms.ct.study import PhantomBox, PhantomStudy, make_ct_study

__all__ = ["CTPhantomConfig", "PhantomBox", "PhantomStudy", "make_ct_study", "write_ct_phantoms"]
