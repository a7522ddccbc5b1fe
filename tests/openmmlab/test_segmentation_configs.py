"""Configs of segmenters: each builds from anywhere, one of each kind trains and tests."""

import numpy as np
import pytest
import torch
from conftest import ROOT, SMALL
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

from maxvit_mm.measure.config_cost import build
from maxvit_mm.openmmlab.hardware import use_float32
from maxvit_mm.openmmlab.image_size import scale_of, set_scale

pytest.importorskip("mmseg")
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

CONFIGS = ROOT / "configs" / "segmentation"
LEAVES = sorted(CONFIGS.glob("*.py"))
# One for each kind of segmenter; the others differ in sizes and schedules.
KINDS = [
    CONFIGS / f"{name}.py"
    for name in (
        "upernet_maxvit_pico_shapes",
        "upernet_maxvit_t_ade20k",
        "fpn_maxvit_t_ade20k",
        "fpn_maxvit_s_512_voc",
    )
]


@pytest.fixture(params=LEAVES, ids=[path.stem for path in LEAVES])
def cfg(request, tmp_path, monkeypatch):
    """A config, read while standing in a foreign folder."""
    monkeypatch.chdir(tmp_path)
    init_default_scope("mmseg")
    return Config.fromfile(request.param)


@pytest.fixture(params=KINDS, ids=[path.stem for path in KINDS])
def kind(request):
    init_default_scope("mmseg")
    return Config.fromfile(request.param)


def taker(model):
    """What the backbone's maps go into."""
    return model.neck if "neck" in model else model.decode_head


def reduced(cfg):
    """The config's segmenter on a narrow backbone, with narrow heads, for tiny images."""
    model = cfg.model
    model.backbone.arch = SMALL
    widths = [SMALL["widths"][i] for i in model.backbone.get("out_indices", range(4))]
    taker(model).in_channels = widths
    model.decode_head.channels = 32
    if "auxiliary_head" in model:
        model.auxiliary_head.update(in_channels=widths[2], channels=32)
    if "neck" in model:
        model.neck.out_channels = 32
        head = model.decode_head
        head.in_channels = 32 if isinstance(head.in_channels, int) else [32] * len(head.in_channels)
    model.data_preprocessor["size"] = (96, 96)
    if "test_cfg" in model.data_preprocessor:
        model.data_preprocessor.test_cfg["size"] = (96, 96)
    if model.test_cfg.get("mode") == "slide":
        model.test_cfg.update(crop_size=(64, 64), stride=(43, 43))
    segmenter = MODELS.build(model)
    segmenter.init_weights()
    return segmenter


def packed(segmenter, sizes, training):
    """Random images with random labels, a corner of them without one, as the data pipeline packs them."""
    rng = np.random.default_rng(0)
    images, samples = [], []
    for height, width in sizes:
        images.append(torch.from_numpy(rng.integers(0, 255, (3, height, width), dtype=np.uint8)))
        labels = rng.integers(0, segmenter.num_classes, (1, height, width))
        labels[:, :9, :9] = 255
        size = (height, width)
        sample = SegDataSample(metainfo=dict(ori_shape=size, img_shape=size, img_path="x.jpg"))
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(labels))
        samples.append(sample)
    return segmenter.data_preprocessor(dict(inputs=images, data_samples=samples), training)


def test_the_heads_take_what_the_backbone_gives(cfg):
    segmenter = build(cfg)
    assert segmenter.backbone.out_channels == list(taker(cfg.model).in_channels)
    if "auxiliary_head" in cfg.model:
        assert cfg.model.auxiliary_head.in_channels == segmenter.backbone.out_channels[2]


def shape_of(node):
    """A config without its numbers: keys, and the types that they build."""
    if isinstance(node, dict):
        return {key: str(value) if key == "type" else shape_of(value) for key, value in node.items()}
    return [shape_of(value) for value in node] if isinstance(node, (list, tuple)) else type(node).__name__


def test_every_config_is_of_a_kind_that_trains_here(cfg):
    """The rest of these tests train one segmenter of each kind; another is the same but for numbers."""
    kinds = [shape_of(Config.fromfile(path).model.to_dict()) for path in KINDS]
    assert shape_of(cfg.model.to_dict()) in kinds


def test_every_kind_trains_and_tests_on_tiny_images(kind):
    segmenter = reduced(kind).train()
    batch = packed(segmenter, [(96, 96), (75, 90)], training=True)
    total, named = segmenter.parse_losses(segmenter(**batch, mode="loss"))
    total.backward()
    assert total.isfinite(), named
    without = [n for n, p in segmenter.named_parameters() if p.requires_grad and p.grad is None]
    idle = ("neck.fpn_convs.",) if kind.get("find_unused_parameters") else ()
    assert [name for name in without if not name.startswith(idle)] == []
    assert all(p.grad.isfinite().all() for p in segmenter.parameters() if p.grad is not None)


@pytest.mark.parametrize("size", [(96, 75), (33, 96)])
def test_every_kind_tests_at_any_height_and_width(kind, size):
    segmenter = reduced(kind).eval()
    with torch.no_grad():
        (result,) = segmenter(**packed(segmenter, [size], training=False), mode="predict")
    assert result.pred_sem_seg.data.shape == (1, *size)
    assert result.seg_logits.data.shape == (segmenter.num_classes, *size)
    assert result.seg_logits.data.isfinite().all()


@pytest.mark.parametrize("name", ["upernet_maxvit_pico_shapes", "upernet_maxvit_t_ade20k"])
def test_an_image_is_tested_whole_or_by_windows(name):
    """Windows as large as the image give what the whole one gives; smaller ones cover all of it."""
    init_default_scope("mmseg")
    segmenter = reduced(Config.fromfile(CONFIGS / f"{name}.py")).eval()
    batch = packed(segmenter, [(70, 101)], training=False)

    def logits(**test_cfg):
        segmenter.test_cfg = Config(test_cfg)
        with torch.no_grad():
            return segmenter(**batch, mode="predict")[0].seg_logits.data.clone()

    whole = logits(mode="whole")
    torch.testing.assert_close(logits(mode="slide", crop_size=(128, 128), stride=(80, 80)), whole)
    windows = logits(mode="slide", crop_size=(64, 64), stride=(43, 43))
    assert windows.isfinite().all()
    assert not torch.equal(windows, whole)


def test_norms_biases_and_tables_do_not_decay(kind):
    segmenter = build(kind)
    use_float32(kind)
    optimizer = build_optim_wrapper(segmenter, kind.optim_wrapper).optimizer
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in segmenter.named_parameters():
        free = parameter.ndim == 1 or name.endswith("relative_position_bias_table")
        assert (decay[id(parameter)] == 0) == free, name


@pytest.mark.parametrize(("size", "slowed"), [("t", 0.9**7), ("s", 0.9**13), ("b", 0.9**13)])
def test_the_stem_learns_as_slowly_as_convnexts(size, slowed):
    init_default_scope("mmseg")
    cfg = Config.fromfile(CONFIGS / f"upernet_maxvit_{size}_ade20k.py")
    segmenter = build(cfg)
    use_float32(cfg)
    optimizer = build_optim_wrapper(segmenter, cfg.optim_wrapper).optimizer
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(next(segmenter.backbone.trunk.stem.parameters()))] == pytest.approx(1e-4 * slowed)
    assert rates[id(segmenter.decode_head.conv_seg.weight)] == pytest.approx(1e-4)


def test_every_run_imports_the_plugin_and_checks_the_classes(cfg):
    assert cfg.custom_imports == dict(imports=["maxvit_mm"], allow_failed_imports=False)
    checks = {"ClassNamesHook", "CompleteLoadHook", "NormalizationHook", "ReseedHook"}
    assert {"mmdet.NumClassCheckHook", *checks} <= {hook.type for hook in cfg.custom_hooks}
    assert {"base_batch_size", "base_images"} <= set(cfg.auto_scale_lr)


@pytest.mark.parametrize(
    ("name", "side", "rate", "warm_up", "steps", "ends_at", "jitter", "classes"),
    [
        ("fpn_maxvit_s_512_voc", 512, 1e-5, 500, 20_000, 0.01, (0.5, 2.0), 21),
        ("fpn_maxvit_s_640_coco", 640, 1e-6, 4_000, 64_000, 0.03, (0.5, 1.5), 81),
    ],
)
def test_googles_recipes_are_googles(name, side, rate, warm_up, steps, ends_at, jitter, classes):
    """What the experiments state, where configs could drift from them."""
    init_default_scope("mmseg")
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    model = cfg.model
    assert (model.backbone.arch, model.backbone.partition_size) == ("small", "scaled")
    assert model.backbone.drop_path_rate == pytest.approx(1 - 0.7)
    assert model.backbone.out_indices == (1, 2, 3)
    assert model.neck.num_outs == 5
    assert (model.decode_head.num_convs, model.decode_head.in_index) == (3, 0)
    assert model.decode_head.num_classes == classes
    for part in (model.neck, model.decode_head):
        assert part.norm_cfg == dict(type="SyncBN", eps=1e-3, momentum=0.01)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ("AdamW", rate, 1e-4)
    assert cfg.optim_wrapper.dtype == "bfloat16"
    assert cfg.train_cfg.max_iters == steps
    assert cfg.param_scheduler[0].end == cfg.param_scheduler[1].begin == warm_up
    assert (cfg.param_scheduler[1].end, cfg.param_scheduler[1].eta_min_ratio) == (steps, ends_at)
    assert cfg.auto_scale_lr.base_batch_size == 32
    ema = next(hook for hook in cfg.custom_hooks if hook.type == "EMAHook")
    assert ema.momentum == pytest.approx(1 - 0.9998)
    dataset = cfg.train_dataloader.dataset
    for training in dataset.get("datasets", [dataset]):
        resize = next(step for step in training.pipeline if step.type == "RandomResize")
        assert (resize.scale, resize.ratio_range) == ((side, side), jitter)
    assert model.data_preprocessor["size"] == (side, side)


def test_a_size_is_set_in_all_places_of_googles_recipe():
    init_default_scope("mmseg")
    cfg = Config.fromfile(CONFIGS / "fpn_maxvit_s_512_voc.py")
    set_scale(cfg, (256, 256))
    assert cfg.model.data_preprocessor["size"] == cfg.model.data_preprocessor.test_cfg["size"] == (256, 256)
    assert scale_of(cfg) == (256, 256)
    for training in cfg.train_dataloader.dataset.datasets:
        assert {step.get("crop_size") for step in training.pipeline} == {None, (256, 256)}
