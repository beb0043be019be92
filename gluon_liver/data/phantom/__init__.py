"""Synthetic studies with known lesions."""

from __future__ import annotations

from gluon_liver.data.phantom.config import CTPhantomConfig
from gluon_liver.data.phantom.ct import PhantomBox, PhantomStudy, make_ct_study
from gluon_liver.data.phantom.ct_folder import write_ct_phantoms

__all__ = ["CTPhantomConfig", "PhantomBox", "PhantomStudy", "make_ct_study", "write_ct_phantoms"]
