"""What several tests share: small networks in which nothing is hidden by a zero or a one."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# One thread in each of several processes: threads that wait for a core take up to a hundred times as long.
# A worker has the variables of the process that started it, so what that one has set is written over.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
else:
    os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which `full_of_nan` asks of a GPU's products
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="maxvit_mm-tests-")  # not the developer's own

import torch

# Where there is no GPU, Triton runs our kernels in its interpreter, on tensors of the CPU: it asks this
# when it is imported, which parts of MMEngine do. No network takes them there of itself, as their twins are
# for GPUs.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

import pytest
from hypothesis import HealthCheck, settings
from mmengine.config import Config
from mmengine.registry import DefaultScope
from runs import PICO, TWO_STEPS, forget_runs

import maxvit_mm  # noqa: F401  (registers the backbone, and stands in for missing ops)
from maxvit_mm.data.shapes import make_shapes
from maxvit_mm.fast.gpu.reasons import of_device
from maxvit_mm.openmmlab.tasks import enter_scope

# What Hypothesis makes is the same at every run and on every machine, however slow.
settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("fixed")

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "tests" / "files"
SMALL = {"stem_width": 24, "widths": (32, 32, 64, 64), "depths": (1, 1, 2, 1)}


def about_weights(**changes) -> dict:
    """Metadata as the converter writes them."""
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in SMALL.items()}
    known = dict(arch="custom", convention="official", table_partition_size=7, classes=None, image_size=224)
    known.update(normalization="imagenet", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
    known.update(origin="timm", source="w.pth", source_sha256="0" * 64, converter="maxvit_mm 0")
    return {**lists, **known, **changes}


def randomise(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Random weights, biases, statistics and tables, all of a size that keeps activations near one."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif tensor.ndim == 1:
            around = 1.0 if name.endswith("weight") else 0.0
            tensor.copy_(around + 0.3 * noise)
        elif name.endswith("table"):
            tensor.copy_(noise)
        else:
            tensor.copy_(noise / tensor[0].numel() ** 0.5)
    return module


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def scope_of_detectors() -> None:
    """What MMEngine looks up without a scope is MMDetection's, whatever was trained before it."""
    current = DefaultScope.get_current_instance()
    if current is not None and current.scope_name != "mmdet":
        enter_scope(Config())


@pytest.fixture(scope="session")
def shapes(tmp_path_factory) -> Path:
    """The embedded data set: six images to train on, three to test on."""
    return make_shapes(tmp_path_factory.mktemp("data") / "shapes", train=6, val=3)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> None:
    """A foreign working directory, and nothing left of another run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "0")
    forget_runs()


@pytest.fixture(scope="session")
def trained(shapes, tmp_path_factory) -> Path:
    """A work directory after two steps on the embedded data."""
    from maxvit_mm.commands.train import main as train  # of MMDetection, which most tests do without

    forget_runs()
    work_dir = tmp_path_factory.mktemp("trained")
    train([PICO, "--data", str(shapes), "--work-dir", str(work_dir), "--cfg-options", *TWO_STEPS])
    return work_dir


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory) -> Path:
    """A checkpoint of a segmenter with random weights."""
    from untrained import save, segmenter_config  # of MMSegmentation

    return save(segmenter_config(), tmp_path_factory.mktemp("segmenter") / "iter_2.pth")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory) -> Path:
    """A checkpoint of a classifier with random weights."""
    from untrained import classifier_config, save  # of MMPretrain

    return save(classifier_config(), tmp_path_factory.mktemp("classifier") / "epoch_2.pth")


@pytest.fixture
def no_map_is_too_small(monkeypatch) -> None:
    """Maps of tests are small: they go through the twins that keep less all the same."""
    monkeypatch.setattr("maxvit_mm.fast.cpu.reasons.SMALL", 0)


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU of `make test-gpu`. TEST_DEVICE=cpu rehearses its tests without one."""
    name = os.environ.get("TEST_DEVICE", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.fail("these tests need a GPU, and PyTorch sees none")
    return torch.device(name)


@pytest.fixture(scope="session")
def of_kernels() -> torch.device:
    """Where kernels in Triton run: on the GPU, else on the CPU, in Triton's interpreter."""
    pytest.importorskip("triton", "3.6", reason="kernels need Triton 3.6, which is for Linux")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda" and (reason := of_device("cuda", torch.cuda.current_device())):
        pytest.skip(reason)
    return device


@pytest.fixture
def full_of_nan(monkeypatch) -> Iterator[None]:
    """Memory that nobody has written is NaN, so that an element that a kernel leaves out shows."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def in_full_fp32() -> Iterator[None]:
    """Convolutions in fp32 instead of TF32, as products are, so that a GPU may be held against a CPU."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    yield
    torch.backends.cudnn.allow_tf32 = before
