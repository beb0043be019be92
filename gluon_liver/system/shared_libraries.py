"""Which shared libraries an extension module needs and this machine lacks, found without importing the
module.

Reads the dynamic section of ELF files (System V gABI, chapters 4 and 5) the way the dynamic loader does.
Standard library only: this must work where MXNet and OpenCV do not.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from importlib import util
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

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

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH = 1, 5, 15, 29


class Dynamic(NamedTuple):
    """The part of an ELF file's dynamic section that says which libraries it needs and where it looks for
    them.
    """

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
    """The missing libraries of every installed module of NATIVE_MODULES, each once, in the order of
    discovery.
    """
    found: Dict[str, MissingLibrary] = {}
    for module in NATIVE_MODULES:
        for path in native_files(module):
            for name in missing_for(path):
                found.setdefault(name, MissingLibrary(name, module))
    return list(found.values())


def missing_debian_packages() -> List[str]:
    """The Debian packages that hold the missing libraries, sorted; libraries of no known package are left
    out.
    """
    return sorted({DEBIAN_PACKAGES[lib.name] for lib in missing_libraries() if lib.name in DEBIAN_PACKAGES})


def native_files(module: str) -> List[Path]:
    """The native files of an installed top-level package; empty when it is not installed."""
    spec = util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(list(spec.submodule_search_locations)[0])
    return sorted(folder.glob(NATIVE_MODULES[module]))


def missing_for(path: Path) -> List[str]:
    """The names of the libraries that `path` needs, directly or through libraries in its own search path,
    and that are not there.

    A library in the file's search path is read in turn; any other is tried with the dynamic loader itself.

    Raises:
        ValueError: `path` is not a 64-bit little-endian ELF file.
    """
    missing: List[str] = []
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
            else:
                absent = _absent_library(name)
                if absent is not None and absent not in missing:
                    missing.append(absent)
    return missing


def _absent_library(name: str) -> Optional[str]:
    """None when the dynamic loader can load `name`, else the library that is absent: `name` or one that it
    needs.
    """
    try:
        ctypes.CDLL(name)
    except OSError as error:
        # "libX.so.1: cannot open shared object file: No such file or directory"
        return str(error).partition(":")[0]
    return None


def read_dynamic(path: Path) -> Dynamic:
    """DT_NEEDED, and DT_RPATH or DT_RUNPATH with $ORIGIN resolved, of a 64-bit little-endian ELF file.

    Raises:
        ValueError: `path` is another kind of file, or cut short.
    """
    with open(path, "rb") as file:
        if file.read(6) != b"\x7fELF\x02\x01":
            raise ValueError(f"{path.name} is not a 64-bit little-endian ELF file")
        # The libraries are up to gigabytes long and their string tables lie anywhere in them.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _parse_dynamic(data, origin=path.resolve().parent)
            except struct.error as error:
                raise ValueError(f"{path.name} is cut short: {error}") from error


def _parse_dynamic(data: mmap.mmap, *, origin: Path) -> Dynamic:
    (header_offset,) = struct.unpack_from("<Q", data, 32)
    header_size, header_count = struct.unpack_from("<HH", data, 54)
    loads, entries = [], []
    for index in range(header_count):
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, header_offset + index * header_size)
        if kind == PT_LOAD:
            loads.append((address, offset, size))
        elif kind == PT_DYNAMIC:
            entries = [struct.unpack_from("<qQ", data, offset + at) for at in range(0, size, 16)]
    table_addresses = [value for tag, value in entries if tag == DT_STRTAB]
    if not table_addresses:
        return Dynamic((), ())
    address = table_addresses[0]
    tables = [offset + address - start for start, offset, size in loads if start <= address < start + size]
    if not tables:
        raise ValueError("the string table of the dynamic section lies in no segment")
    table = tables[0]

    def text(value: int) -> str:
        return data[table + value : data.find(b"\0", table + value)].decode()

    needed = tuple(text(value) for tag, value in entries if tag == DT_NEEDED)
    folders = [
        folder for tag, value in entries if tag in (DT_RPATH, DT_RUNPATH) for folder in text(value).split(":") if folder
    ]
    resolved = (folder.replace("${ORIGIN}", str(origin)).replace("$ORIGIN", str(origin)) for folder in folders)
    return Dynamic(needed, tuple(Path(folder) for folder in resolved))
