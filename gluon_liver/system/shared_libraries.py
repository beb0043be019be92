"""Which shared libraries an extension module needs and this machine lacks, told without importing the module.

Reads the dynamic sections of ELF files as the dynamic loader does; this must work where MXNet and OpenCV do not.
"""

from __future__ import annotations

import ctypes
from importlib import util
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from .runtime import CUDA_WHEELS

DEBIAN_PACKAGES = {
    "libgomp.so.1": "libgomp1",
    "libquadmath.so.0": "libquadmath0",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
    "libz.so.1": "zlib1g",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
}
DRIVER_LIBRARIES = ("libcuda.so.1",)

# import name -> the file patterns of its native code, below the package's folder
NATIVE_MODULES = {"mxnet": "libmxnet.so", "cv2": "cv2*.so"}


class Dynamic(NamedTuple):
    """What an ELF file's dynamic section says of the libraries that it needs and where it looks for them."""

    needed: Tuple[str, ...]
    search: Tuple[Path, ...]


class MissingLibrary(NamedTuple):
    """A library that no search path holds, and the module that needs it."""

    name: str
    module: str

    @property
    def advice(self) -> str:
        if self.name in DEBIAN_PACKAGES:
            return f"apt-get install {DEBIAN_PACKAGES[self.name]}"
        if self.name in CUDA_WHEELS:
            return f"pip install {CUDA_WHEELS[self.name][0]}, at the version that setup.py pins (extra cu112)"
        if self.name in DRIVER_LIBRARIES:
            return "install NVIDIA's driver, or use the CPU build: make setup EXTRAS=cpu,test"
        return f"install the package that holds {self.name} (on Debian: apt-file search {self.name})"


def missing_libraries() -> List[MissingLibrary]:
    """The missing libraries of every installed module of NATIVE_MODULES, each once, in the order of discovery."""
    missing: Dict[str, MissingLibrary] = {}
    for module in NATIVE_MODULES:
        for path in native_files(module):
            for name in missing_for(path):
                missing.setdefault(name, MissingLibrary(name, module))
    return list(missing.values())


def missing_debian_packages() -> List[str]:
    """The Debian packages that hold the missing libraries, sorted; libraries of no known package are left out."""
    return sorted({DEBIAN_PACKAGES[lib.name] for lib in missing_libraries() if lib.name in DEBIAN_PACKAGES})


def native_files(module: str) -> List[Path]:
    """The native files of an installed top-level package; empty when it is not installed."""
    spec = util.find_spec(module)
    folders = (spec.submodule_search_locations if spec is not None else None) or []
    return sorted(path for folder in list(folders)[:1] for path in Path(folder).glob(NATIVE_MODULES[module]))


def missing_for(path: Path) -> List[str]:
    """The libraries that ``path`` needs, directly or through libraries in its own search path, and that are not there.

    A library in the file's search path is read in turn; any other is tried with the dynamic loader itself.

    Raises :class:`ValueError` when ``path`` is not a 64-bit little-endian ELF file.
    """
    missing: Dict[str, None] = {}
    seen = set()
    queue: List[Tuple[Path, Tuple[Path, ...]]] = [(path, ())]
    while queue:
        current, inherited = queue.pop(0)
        dynamic = read_dynamic(current)
        search = dynamic.search + inherited
        for name in dynamic.needed:
            if name in seen:
                continue
            seen.add(name)
            bundled = next((folder / name for folder in search if (folder / name).is_file()), None)
            if bundled is not None:
                queue.append((bundled, search))
                continue
            try:
                ctypes.CDLL(name)
            except OSError as error:
                # "libX.so.1: cannot open shared object file: No such file or directory"; it may be one that it needs
                missing.setdefault(str(error).partition(":")[0])
    return list(missing)


def read_dynamic(path: Path) -> Dynamic:
    """DT_NEEDED, and DT_RPATH or DT_RUNPATH with $ORIGIN resolved, of a 64-bit little-endian ELF file.

    Raises :class:`ValueError` for another kind of file, or one that is cut short.
    """
    origin = str(path.resolve().parent)
    needed: List[str] = []
    folders: List[str] = []
    with path.open("rb") as stream:
        try:
            elf = ELFFile(stream)
            if elf.elfclass != 64 or not elf.little_endian:
                raise ELFError("another class or byte order")
            # by segments, as the loader does: sections may be stripped
            for tag in (tag for segment in elf.iter_segments("PT_DYNAMIC") for tag in segment.iter_tags()):
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(tag.needed)
                elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                    folders += (tag.rpath if tag.entry.d_tag == "DT_RPATH" else tag.runpath).split(":")
        except ELFError as error:
            raise ValueError(f"{path.name} is not a 64-bit little-endian ELF file, or is cut short: {error}") from error
    resolved = (folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for folder in folders if folder)
    return Dynamic(tuple(needed), tuple(map(Path, resolved)))
