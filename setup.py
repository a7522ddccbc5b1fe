"""Packaging: what maxvit_mm needs, and configs and tools placed where OpenMMLab's `mim` looks."""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ("configs", "tools", "model-index.yml")

# mmengine 0.10.7 imports pkg_resources, which setuptools 81 warns of and 82 lacks.
UPSTREAM = ["mmengine>=0.10.7,<1.0", "mmdet==3.3.0", "setuptools<81"]
# Pictures, videos and tracks of tools/predict.py and Detector.
PREDICT = ["supervision>=0.31", "trackers>=2.6"]
# The page of tools/serve.py. A major version changes the names of arguments.
SERVE = [*PREDICT, "gradio>=6.31,<7"]
TRITON = "triton; platform_system == 'Linux' and platform_machine == 'x86_64' and python_version < '3.15'"
# ONNX files of tools/export.py: written, translated, run.
EXPORT = ["onnx", "onnxscript", "onnxruntime"]
MMCV_FOR_MMDET = ">=2.0.0rc4,<2.2.0"  # mmdet 3.3.0 refuses others


def text_of(path: str) -> str:
    """Text of a file of the clone, empty where there is none."""
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.exists() else ""


class BuildWithMim(build_py):
    """Adds `maxvit_mm/.mim`: copies in a built package, links to the clone in an editable one."""

    def run(self) -> None:
        super().run()
        package = Path("maxvit_mm") if self.editable_mode else Path(self.build_lib, "maxvit_mm")
        mim = package / ".mim"
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in filter(os.path.exists, SHIPPED):
            if self.editable_mode:
                (mim / name).symlink_to(Path("..", "..", name))
            elif Path(name).is_dir():
                shutil.copytree(name, mim / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(name, mim / name)


setup(
    name="maxvit_mm",
    version=re.search(r'__version__ = "(.+)"', text_of("maxvit_mm/version.py"))[1],
    description="The MaxViT backbone for OpenMMLab: detection, segmentation and classification",
    long_description=text_of("README.md"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["maxvit_mm*"]),
    package_data={"maxvit_mm": ["inference/imagenet_1k.txt"]},
    cmdclass={"build_py": BuildWithMim},
    install_requires=[
        "torch>=2.6",  # older ones cannot load a checkpoint safely
        "numpy>=1.25",
        "einops",
        "safetensors",
        "tensorboard",
        *("filelock", "pillow", "pycocotools", "tqdm"),  # for the check of a user's images
        # No OpenMMLab: its two families own the same folders, and so do mmcv and mmcv-lite.
        # The user picks one, below.
    ],
    extras_require={
        "lite": [*UPSTREAM, f"mmcv-lite{MMCV_FOR_MMDET}"],
        "compiled": [*UPSTREAM, f"mmcv{MMCV_FOR_MMDET}"],
        "onedl": ["onedl-mmengine~=0.10.12", "onedl-mmcv~=2.3.6", "onedl-mmdetection~=3.5.1"],
        # The other tasks, from the family that is there: beside `lite` or `compiled`, and beside `onedl`.
        "segmentation": ["mmsegmentation==1.2.2", "ftfy", "regex"],  # it imports these and requires neither
        "classification": ["mmpretrain==1.2.0", "torchvision"],  # for its transforms, likewise
        "onedl-segmentation": ["onedl-mmsegmentation~=1.4.2"],
        "onedl-classification": ["onedl-mmpretrain~=1.3.6", "torchvision"],
        "tensorflow": ["tensorflow-cpu"],  # only to read the official checkpoints
        "predict": [*PREDICT],
        "serve": [*SERVE],
        "export": [*EXPORT],
        "test": [*PREDICT, "pytest", "pytest-xdist", "hypothesis", "ruff", "mypy"],
        # What `make test` has beside that, in one environment: all that some command needs, and Triton, which
        # torch brings along for GPUs alone, and which runs our kernels in its interpreter.
        "all": [*SERVE, *EXPORT, TRITON],
        # For `make test-peers` and `make benchmark`: implementations to compare with, adapters, exports.
        "peers": [
            *("timm", "torchvision", "vit-pytorch", "tensorflow-cpu"),
            *("peft", *EXPORT),
        ],
    },
)
