"""Our ops, called as mmcv calls them, against stored answers of compiled mmcv, or a plain formula."""

import importlib
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType, SimpleNamespace

import mmcv
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import FILES, ROOT
from mmcv.ops import batched_nms, nms, roi_align, sigmoid_focal_loss, soft_nms
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)

from maxvit_mm import mmcv_ops
from maxvit_mm.openmmlab.mmcv_ops import StandIn, compiled, compiled_mmcv_lines, stubs, torchvision_ops
from maxvit_mm.openmmlab.mmcv_ops import nms as our_nms
from maxvit_mm.openmmlab.mmcv_ops import roi_align as our_roi_align

STORED = np.load(FILES / "mmcv_ops.npz")
CALLERS = [f"mmcv.ops.{name}" for name in ("nms", "roi_align", "focal_loss", "multi_scale_deform_attn")]


def fake_torchvision() -> SimpleNamespace:
    """torchvision's ops under its own signatures, by ours: what is tested is what they are given."""

    def align(maps, rois, scale, height, width, ratio, aligned):
        output, none = maps.new_empty(len(rois), maps.shape[1], height, width), maps.new_empty(0)
        our_roi_align.roi_align_forward(
            maps, rois, output, none, none, height, width, scale, ratio, 1, aligned
        )
        return output

    def align_backward(grad, rois, scale, height, width, b, c, h, w, ratio, aligned):
        output, none = grad.new_zeros(b, c, h, w), grad.new_empty(0)
        our_roi_align.roi_align_backward(
            grad, rois, none, none, output, height, width, scale, ratio, 1, aligned
        )
        return output

    return SimpleNamespace(
        nms=lambda boxes, scores, threshold: our_nms.nms(boxes, scores, threshold, 0),
        roi_align=align,
        _roi_align_backward=align_backward,
    )


@pytest.fixture(params=["PyTorch", "torchvision"])
def ops(request, monkeypatch) -> StandIn:
    """The stand-in, in `mmcv.ops`' eyes the compiled module; with torchvision, a fake one if need be."""
    if request.param == "PyTorch":
        monkeypatch.setattr(torchvision_ops, "work", lambda: False)
    elif not torchvision_ops.work():
        monkeypatch.setattr(torchvision_ops, "work", lambda: True)
        monkeypatch.setattr(torch.ops, "torchvision", fake_torchvision(), raising=False)
    stand_in = StandIn()
    assert stand_in.__backend__ == request.param
    for caller in CALLERS:
        monkeypatch.setattr(sys.modules[caller], "ext_module", stand_in)
    return stand_in


def stored(op: str) -> list:
    """The stored cases of an op, each a dict of tensors and of plain values."""
    cases: dict = {}
    for key in STORED.files:
        name, case, value = key.split("/")
        if name == op:
            array = STORED[key]
            cases.setdefault(case, {})[value] = torch.from_numpy(array) if array.ndim else array.item()
    return [pytest.param(case, id=name) for name, case in cases.items()]


def arguments(case: dict, *but: str) -> dict:
    return {name: value for name, value in case.items() if not name.isupper() and name not in but}


@pytest.mark.parametrize("case", stored("nms"))
def test_nms_keeps_what_compiled_mmcv_keeps(ops, case):
    dets, kept = nms(**arguments(case))
    assert kept.equal(case["KEPT"])
    assert dets.equal(case["DETS"])


@pytest.mark.parametrize("case", stored("batched_nms"))
def test_batched_nms_keeps_what_compiled_mmcv_keeps(ops, case):
    cfg = {"type": "nms", "iou_threshold": 0.5, "split_thr": case["split_thr"], "max_num": 90}
    dets, kept = batched_nms(case["boxes"], case["scores"], case["idxs"], cfg)
    assert kept.equal(case["KEPT"])
    assert dets.equal(case["DETS"])


@pytest.mark.parametrize("case", stored("soft_nms"))
def test_soft_nms_picks_as_compiled_mmcv_does_ties_included(ops, case):
    scores = case["scores"].clone()
    dets, kept = soft_nms(**arguments(case))
    assert kept.equal(case["KEPT"])
    torch.testing.assert_close(dets, case["DETS"], equal_nan=True)
    assert case["scores"].equal(scores)


@pytest.mark.parametrize("case", stored("roi_align"))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_roi_align_equals_compiled_mmcv(ops, case, layout):
    maps = case["maps"].clone(memory_format=layout).requires_grad_()
    pooled = roi_align(maps, case["rois"], (7, 5), 0.5, case["ratio"], "avg", case["aligned"])
    pooled.backward(case["grad"])
    torch.testing.assert_close(pooled, case["POOLED"], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(maps.grad, case["GRAD"], atol=1e-5, rtol=1e-5)


def greedy(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, offset: int) -> list[int]:
    """NMS as its definition says, box by box."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i].item()):  # a stable sort
        overlaps = our_nms.overlap(boxes[i, None], boxes[kept], offset)
        if not (overlaps > threshold).any():
            kept.append(i)
    return kept


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_in_blocks_equals_nms_box_by_box_and_equal_scores_go_by_index(ops, offset):
    corner = torch.randint(60, (400, 2)).float()  # more than three blocks
    boxes = torch.cat([corner, corner + torch.randint(20, (400, 2))], 1)
    scores = torch.randint(9, (400,)) / 9
    for threshold in (0.2, 0.5, 0.6):  # whole pixels: many an overlap is one of these exactly
        kept = ops.nms(boxes, scores, iou_threshold=threshold, offset=offset)
        assert kept.tolist() == greedy(boxes, scores, threshold, offset)


def test_nms_decides_a_chain_in_which_each_box_suppresses_the_next(ops):
    x = torch.arange(300.0)
    boxes = torch.stack([x * 4, x * 0, x * 4 + 10, x * 0 + 10], 1)  # overlap: 6 of 14, then 2 of 18
    assert ops.nms(boxes, -x, iou_threshold=0.4, offset=0).tolist() == list(range(0, 300, 2))


def test_roi_align_without_rois_is_empty_and_has_a_zero_gradient(ops):
    maps = torch.randn(2, 3, 8, 8, requires_grad=True)
    pooled = roi_align(maps, torch.zeros(0, 5), 7)
    assert pooled.shape == (0, 3, 7, 7)
    pooled.sum().backward()
    assert not maps.grad.any()


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_roi_align_of_half_precision_rounds_only_its_result(ops, half):
    maps, rois = torch.randn(1, 4, 40, 40).to(half), torch.tensor([[0, 3, 2, 37, 29]]).to(half)
    exact = roi_align(maps.float(), rois.float(), 7)
    assert roi_align(maps, rois, 7).equal(exact.to(half))


def test_roi_align_is_the_same_in_many_small_steps(monkeypatch):
    maps, rois = torch.randn(1, 4, 40, 40), torch.tensor([[0, 3.0, 2, 37, 29]]).repeat(3, 1)
    rois[1, 3:] = torch.tensor([13, 18])  # of another kind
    gradient, none = torch.randn(3, 4, 7, 7), torch.zeros(0)
    results = []
    for chunk, together in ((our_roi_align.CHUNK, our_roi_align.TOGETHER), (2**21, 1), (1, 2**14), (1, 1)):
        monkeypatch.setattr(our_roi_align, "CHUNK", chunk)
        monkeypatch.setattr(our_roi_align, "TOGETHER", together)
        output, grad = torch.zeros(3, 4, 7, 7), torch.zeros(1, 4, 40, 40)
        our_roi_align.roi_align_forward(maps, rois, output, none, none, 7, 7, 1.0, 0, 1, True)
        our_roi_align.roi_align_backward(gradient, rois, none, none, grad, 7, 7, 1.0, 0, 1, True)
        results.append((output, grad))
    for each in results[1:]:
        torch.testing.assert_close(each, results[0])


def test_max_pooling_needs_compiled_mmcv(ops):
    with pytest.raises(RuntimeError, match="pool_mode='max'") as caught:
        roi_align(torch.zeros(1, 1, 8, 8), torch.zeros(1, 5), 7, 1.0, 0, "max", True)
    assert compiled_mmcv_lines() in str(caught.value)


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 2.0, 1.0, 3.0])])
def test_focal_loss_and_its_derivative_equal_the_plain_formula(ops, weight):
    logits = (torch.randn(50, 4) * 10).requires_grad_()
    target = torch.arange(50) % 5  # 4 is the background
    hit = F.one_hot(target, 5)[:, :4].double()
    p = logits.double().sigmoid()
    wrong = (1 - p) * hit + p * (1 - hit)
    entropy = F.binary_cross_entropy_with_logits(logits.double(), hit, reduction="none")
    loss = (0.3 * hit + 0.7 * (1 - hit)) * wrong**1.5 * entropy
    if weight is not None:
        loss = loss * torch.cat([weight, torch.ones(1)])[target, None]
    (expected,) = torch.autograd.grad(loss.sum() / 50, logits)
    ours = sigmoid_focal_loss(logits, target, 1.5, 0.3, weight, "none")
    torch.testing.assert_close(ours, loss.float(), rtol=1e-4, atol=1e-6)
    sigmoid_focal_loss(logits, target, 1.5, 0.3, weight, "mean").backward()
    torch.testing.assert_close(logits.grad, expected, rtol=1e-4, atol=1e-6)


def test_deformable_attention_has_the_gradients_of_its_plain_version(ops):
    shapes = torch.tensor([[6, 4], [3, 2]])
    starts = torch.tensor([0, 24])
    value = torch.randn(2, 30, 2, 8, requires_grad=True)
    locations = torch.rand(2, 5, 2, 2, 4, 2, requires_grad=True)
    weights = torch.rand(2, 5, 2, 2, 4, requires_grad=True)
    ours = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)
    plain = multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    torch.testing.assert_close(ours, plain)
    grad = torch.randn_like(ours)
    inputs = (value, locations, weights)
    expected = torch.autograd.grad(plain, inputs, grad)
    torch.testing.assert_close(torch.autograd.grad(ours, inputs, grad), expected)


def test_an_op_that_is_not_supplied_is_there_and_says_how_to_get_it(ops):
    assert hasattr(ops, "deform_conv_forward")
    with pytest.raises(RuntimeError, match="'deform_conv_forward'") as caught:
        ops.deform_conv_forward(torch.zeros(1), stride=1)
    assert compiled_mmcv_lines() in str(caught.value)
    assert not hasattr(ops, "__wrapped__")


@pytest.fixture
def extension(tmp_path, monkeypatch) -> Path:
    """Where mmcv now looks for its compiled ops, and finds none yet."""
    monkeypatch.setattr(mmcv, "__path__", [str(tmp_path)])
    monkeypatch.setattr(mmcv, "_ext", None, raising=False)
    monkeypatch.delitem(sys.modules, "mmcv._ext")
    return tmp_path / "_ext.py"


def test_where_compiled_ops_are_absent_a_stand_in_takes_their_place_once(extension):
    assert mmcv_ops.install() in ("PyTorch", "torchvision")
    stand_in = sys.modules["mmcv._ext"]
    assert isinstance(stand_in, StandIn)
    assert mmcv._ext is stand_in
    mmcv_ops.install()
    assert sys.modules["mmcv._ext"] is stand_in


def test_compiled_ops_are_imported_at_once_and_used_as_they_are(extension):
    extension.write_text("nms = 'compiled'")
    assert mmcv_ops.install() == mmcv_ops.backend() == "compiled mmcv"
    assert mmcv._ext is sys.modules["mmcv._ext"]
    assert mmcv._ext.nms == "compiled"


def test_compiled_ops_already_imported_are_left_alone(extension, monkeypatch):
    compiled = ModuleType("mmcv._ext")
    monkeypatch.setitem(sys.modules, "mmcv._ext", compiled)
    assert mmcv_ops.install() == "compiled mmcv"
    assert sys.modules["mmcv._ext"] is compiled


def test_compiled_ops_for_another_torch_are_an_error_that_says_how_to_rebuild_them(extension):
    extension.write_text("raise ImportError('_ext.so: undefined symbol: _ZN3c106detail')")
    with pytest.raises(ImportError, match="built for another torch") as caught:
        mmcv_ops.install()
    assert "undefined symbol" in str(caught.value)
    assert compiled_mmcv_lines() in str(caught.value)


def test_without_mmcv_the_error_is_the_lines_that_install_it(extension, monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv", None)
    with pytest.raises(ImportError, match=r"\(mmcv is missing\)") as caught:
        mmcv_ops.install()
    assert "\n    pip install mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0 " in str(caught.value)
    assert "\n    pip install onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmdet" in str(caught.value)


def test_the_lines_that_compile_mmcv_are_those_of_the_family_that_is_there(monkeypatch):
    there = {"onedl-mmcv"}

    def distribution(name):
        if name not in there:
            raise PackageNotFoundError(name)

    monkeypatch.setattr(compiled, "distribution", distribution)
    assert "--no-binary onedl-mmcv --no-cache-dir onedl-mmcv==" in compiled_mmcv_lines()
    there.clear()
    assert "--no-binary mmcv --no-cache-dir mmcv==" in compiled_mmcv_lines()


FIRST = """
import contextlib
with contextlib.suppress(ImportError):
    import {}
import maxvit_mm, mmdet.models, mmcv.ops, torch
from mmdet.structures.mask import structures
assert mmcv.ops.nms(torch.eye(4), torch.ones(4), 0.5)[1].tolist() == [0, 1, 2, 3]
assert structures.roi_align is mmcv.ops.roi_align
print(maxvit_mm.openmmlab.mmcv_ops.backend())
"""


@pytest.mark.parametrize(
    "first", ["mmcv.ops", "mmdet.utils", "mmdet.structures", "mmdet.models", "mmdet.apis", "mmdet.datasets"]
)
def test_what_is_imported_before_ours_does_not_matter_or_is_refused_in_words(first):
    """OpenMMLab's MMDetection cannot be imported without ops, onedl's then keeps stubs."""
    run = subprocess.run(
        [sys.executable, "-c", FIRST.format(first)], cwd=ROOT, capture_output=True, text=True
    )
    if run.returncode == 0:
        assert run.stdout.split("\n")[-2] == mmcv_ops.backend()
    else:
        assert mmcv_ops.backend() != "compiled mmcv"
        assert compiled_mmcv_lines() == compiled.COMPILED_ONEDL_LINES, run.stderr  # onedl is installed
        assert re.search(
            r"^ImportError: mmdet was imported before maxvit_mm, and where mmcv has no compiled ops it keeps "
            r"stubs in their place \(\w+ in mmdet\.[\w.]+, \d+ in all\): import maxvit_mm before mmdet$",
            run.stderr,
            re.MULTILINE,
        ), run.stderr


STUB = """
try:
    from mmcv.ops import nms as our_nms, no_such_op
except ImportError:
    our_nms = no_such_op = None
def later():
    from mmcv.ops.roi_align import roi_align
"""


def test_a_stub_in_the_place_of_an_op_is_found_and_a_late_import_is_none(extension, tmp_path, monkeypatch):
    for name, source in (("mmstubs", STUB), ("mmnone", "def f():\n    from mmcv.ops import nms")):
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mmstubs", raising=False)
    monkeypatch.delitem(sys.modules, "mmnone", raising=False)
    importlib.import_module("mmnone")
    names = dict.fromkeys(name for module, name in stubs.stubs() if module == "mmnone")
    assert not names
    importlib.import_module("mmstubs")
    assert [name for module, name in stubs.stubs() if module == "mmstubs"] == ["our_nms", "no_such_op"]
