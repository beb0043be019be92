"""The folder ``symbols`` beside this package, as a part of it.

In a checkout the networks in the Symbol API lie at the top, where Python 2.7 reads them as ``symbols``. The wheel holds
that folder in place of this file, so that it puts no package ``symbols`` of its own into site-packages, where others
have one. Either way Python 3 code imports ``gluon_liver.symbols``.
"""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parents[2] / "symbols")]
