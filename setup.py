"""Package metadata. Every range below runs from the oldest to the newest version that the tests passed with."""

from pathlib import Path

import setuptools
from setuptools import find_packages, setup

# MXNet 1.9.1 uses NumPy names that 1.24 and 2 removed. Python 3.12 has no NumPy before 1.26, 3.13 none before 2.1;
# gluon_liver.system.runtime puts the names back there.
NUMPY = [
    "numpy>=1.23.5,<1.24; python_version < '3.12'",
    "numpy>=1.26.4,<1.27; python_version == '3.12'",
    "numpy>=2.2.6,<2.3; python_version >= '3.13'",
]

# MXNet's wheel says numpy<2, so that pip cannot choose it for Python 3.13, where it runs: `make setup` adds it there
# with --no-deps, to what else it needs.
WITHOUT_MXNET = "requests>=2.32.3,<3; python_version >= '3.13'"

# The symbols lie at the top of the checkout, where Python 2.7 reads them, and below gluon_liver when installed, so that
# site-packages gets no package of so common a name.
SYMBOLS = {f"gluon_liver.{name}": name.replace(".", "/") for name in find_packages(include=["symbols", "symbols.*"])}

# From setuptools 77 on (Python 3.9) the licence is an SPDX expression of its own, and no classifier.
PEP_639 = int(setuptools.__version__.split(".")[0]) >= 77

# For `export --onnx` and --engine onnx. onnx 1.17 and onnxruntime 1.19.2 are the last for Python 3.8.
ONNX = ["onnx>=1.17,<2", "onnxruntime>=1.19.2,<2"]

# For `detect --format dicom-sr,dicom-seg`. 0.22 is the last beside pydicom 2.4.
DICOM = ["highdicom>=0.22,<0.29"]

# The CUDA 11 libraries that mxnet-cu112 is linked against, as wheels; only the driver (libcuda.so.1) is
# left to the machine. cuDNN 9 has another file name, so cuDNN stays at 8.
CUDA = [
    "nvidia-cuda-runtime-cu11==11.8.89",
    "nvidia-cublas-cu11==11.11.3.6",
    "nvidia-cudnn-cu11==8.9.6.50",
    "nvidia-cufft-cu11==10.9.0.58",
    "nvidia-curand-cu11==10.3.0.86",
    "nvidia-cusolver-cu11==11.4.1.48",
    "nvidia-cusparse-cu11==11.7.5.86",
    "nvidia-cuda-nvrtc-cu11==11.8.89",
    "nvidia-nccl-cu11==2.21.5",
    "nvidia-nvtx-cu11==11.8.86",
]

setup(
    name="gluon_liver",
    version="0.1.0",
    description="Liver lesion detection in CT and ultrasound with MXNet Gluon: two papers reproduced",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the gluon_liver developers",
    **{"license_expression" if PEP_639 else "license": "Apache-2.0"},
    license_files=["LICENSE"],
    keywords="liver lesion detection CT ultrasound Faster R-CNN MXNet GluonCV",
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        *([] if PEP_639 else ["License :: OSI Approved :: Apache Software License"]),
        "Natural Language :: English",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        *[f"Programming Language :: Python :: 3.{minor}" for minor in range(8, 14)],
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
        "Typing :: Typed",
    ],
    python_requires=">=3.8,<3.14",
    packages=sorted({*find_packages(include=["gluon_liver", "gluon_liver.*"]), *SYMBOLS}),
    package_dir=SYMBOLS,
    package_data={
        "gluon_liver": [
            "py.typed",
            "config/*.yaml",
            "config/experiments/*.yaml",
            "config/sets/*.yaml",
            "report/pages/templates/*",
            "inspection/view/files/*",
            "live/files/*",
        ],
        "gluon_liver.symbols": ["requirements.txt"],
    },
    entry_points={"console_scripts": ["gluon-liver = gluon_liver.commands:console"]},
    install_requires=NUMPY
    + [
        "argcomplete>=3.5,<4",
        "gluoncv>=0.10.5,<0.11",
        "jinja2>=3.1.6,<3.2",
        "matplotlib>=3.7.5,<3.12",
        "nibabel>=5.2.1,<5.5",
        "opencv-python>=4.11,<4.12",
        # GluonCV imports these two and sets no bound.
        "pandas>=2.0.3,<3.1",
        "Pillow>=10.4,<14",
        "pycocotools>=2.0.7,<2.1",
        # CVE-2026-32711 (in FileSet, which is not used here) is fixed in releases that need Python 3.10.
        "pydicom>=2.4.4,<2.5; python_version < '3.10'",
        "pydicom>=3.0.2,<3.1; python_version >= '3.10'",
        "pyelftools>=0.31,<0.33",
        "PyYAML>=6.0.3,<6.1",
        "safetensors>=0.5.3,<0.9",
        "scipy>=1.10.1,<1.18",
        "SimpleITK>=2.4.1,<2.6",
        "threadpoolctl>=3.5,<4",
        "tqdm>=4.70.1,<5",
        # MXNet imports distutils, which left the standard library in 3.12; setuptools 81 no longer brings it.
        "setuptools>=80.10,<81; python_version >= '3.12'",
    ],
    extras_require={
        "cpu": ["mxnet==1.9.1; python_version < '3.13'", WITHOUT_MXNET],
        "cu112": ["mxnet-cu112==1.9.1; python_version < '3.13'", WITHOUT_MXNET] + CUDA,
        # For `make docs`. Sphinx 7.1 is the last for Python 3.8, and MyST 3 with it.
        "docs": ["furo>=2024.8.6,<2026", "myst-parser>=3.0.1,<5", "sphinx>=7.1.2,<9", "sphinx-copybutton>=0.5.2,<0.6"],
        # For --tensorboard of train and evaluate. 2.6.2.2 is the last for Python 3.8.
        "tensorboard": ["tensorboardX>=2.6.2.2,<2.7"],
        "onnx": [*ONNX],
        "dicom": [*DICOM],
        # For `make bench` alone, in an environment of its own. 2.4.1 is the last torch for Python 3.8, 2.8 for 3.9.
        "bench": ["torch>=2.4.1,<3", "torchvision>=0.19.1,<1"],
        # For `make dist`.
        "dist": ["build>=1.2.2,<2", "check-wheel-contents>=0.6.1,<1", "twine>=6.1,<7"],
        # For `make fuzz ATHERIS=1`. Wheels for Linux, x86-64: 2.3 for Python 3.8 to 3.10, 3.0 for 3.11, 3.1 for 3.12.
        "fuzz": ["atheris>=2.3,<4", "hypothesis>=6.113,<7"],
        # Before Python 3.10 the libraries bring fewer types, so that mypy says other things of them.
        "test": [
            *ONNX,
            *DICOM,
            "coverage[toml]>=7.6.1,<8",
            "hypothesis>=6.113,<7",
            "mypy>=2.4.1,<3; python_version >= '3.10'",
            "pre-commit>=3.5,<5",
            "pytest>=8.3.5,<10",
            "pytest-xdist>=3.6.1,<4",
            "ruff>=0.17.6,<0.18",
            "tensorboardX>=2.6.2.2,<2.7",
            "types-PyYAML>=6.0.12; python_version >= '3.10'",
            "types-tqdm>=4.67; python_version >= '3.10'",
        ],
    },
)
