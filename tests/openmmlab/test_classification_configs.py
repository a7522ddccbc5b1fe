"""Configs of classifiers: built from anywhere, trained and tested at tiny size, held to table 12."""

import numpy as np
import pytest
import torch
from conftest import ROOT, SMALL
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS

from maxvit_mm.data.shapes import make_shapes
from maxvit_mm.measure.config_cost import build
from maxvit_mm.openmmlab.hardware import use_float32
from maxvit_mm.openmmlab.image_size import scale_of, set_scale
from maxvit_mm.openmmlab.tasks import enter_scope, task_of

pytest.importorskip("mmpretrain", reason="the extra [classification] is not installed")

CONFIGS = ROOT / "configs" / "classification"
LEAVES = sorted(CONFIGS.glob("*.py"))


def read(name):
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    enter_scope(cfg)
    return cfg


@pytest.fixture(params=LEAVES, ids=[path.stem for path in LEAVES])
def cfg(request, tmp_path, monkeypatch):
    """A config, read while standing in a foreign folder."""
    monkeypatch.chdir(tmp_path)
    return read(request.param.stem)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("classes") / "shapes"
    return make_shapes(root, train=8, val=4, task="classification")


def reduced(cfg, folder):
    """The config's classifier on a narrow backbone, pointed at a folder of four classes, for images of 64."""
    task = task_of(cfg)
    task.point(cfg, task.inspect(folder, cfg, ("train", "val")))
    set_scale(cfg, (64, 64))
    task.complete(cfg)
    cfg.model.backbone.arch = SMALL
    cfg.model.head.in_channels = SMALL["widths"][-1]
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def batch_of(cfg, role, count=4):
    """Images of a role's dataset, through its pipeline, collated as its loader does."""
    from mmengine.dataset import default_collate

    dataset = DATASETS.build(cfg[f"{role}_dataloader"].dataset)
    return default_collate([dataset[i] for i in range(count)])


PARAMETERS = dict(t=30_916_528, s=68_927_956, b=119_467_708, l=211_785_560, xl=474_951_952)


def test_every_config_builds_with_the_official_number_of_parameters(cfg, request):
    found = sum(parameter.numel() for parameter in build(cfg).parameters())
    name, classes, width = request.node.callspec.id, cfg.model.head.num_classes, cfg.model.head.in_channels
    expected = PARAMETERS.get(name.split("_")[1])
    if expected is not None:  # each class has a row and a bias
        assert found == expected + (classes - 1000) * (width + 1)


def test_every_config_takes_a_training_and_a_test_step(cfg, folder):
    model = reduced(cfg, folder).train()
    assert model.head.num_classes == model.data_preprocessor.num_classes == 4
    inputs = model.data_preprocessor(batch_of(cfg, "train", 2), training=True)
    loss = model(**inputs, mode="loss")["loss"]
    loss.backward()
    assert loss.isfinite()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    found = model.eval().val_step(batch_of(cfg, "val"))
    assert [sample.gt_label.item() for sample in found] == [0, 1, 2, 3]
    assert all(sample.pred_score.shape == (4,) for sample in found)


def test_norms_biases_and_tables_do_not_decay_where_the_table_is_googles(cfg, folder):
    model = reduced(cfg, folder)
    use_float32(cfg)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    if "tiny_imagenet" in cfg.filename:
        assert set(decay.values()) == {0.05}  # Keras excludes nothing by itself
        return
    for name, parameter in model.named_parameters():
        free = parameter.ndim == 1 or name.endswith("relative_position_bias_table")
        assert (decay[id(parameter)] == 0) == free, name


def test_every_run_imports_the_plugin_and_checks_the_classes(cfg):
    assert cfg.custom_imports == dict(imports=["maxvit_mm"], allow_failed_imports=False)
    hooks = {hook.type for hook in cfg.custom_hooks}
    assert {"ClassNumCheckHook", "ClassNamesHook", "CompleteLoadHook", "NormalizationHook"} <= hooks
    assert "NumClassCheckHook" not in hooks  # MMDetection's


# The paper's table 12 (arXiv 2204.01697, appendix B), by model size; JFT-300M is left out.
TABLE_12 = {
    "in1k": {
        "stochastic depth": dict(t=0.2, s=0.3, b=0.4, l=0.6),
        **{"RandAugment": (2, 15), "mixup": 0.8, "loss": "softmax", "label smoothing": 0.1},
        **{"epochs": 300, "batch": 4096, "optimizer": "AdamW", "peak rate": 3e-3, "min rate": 1e-5},
        **{"warm-up": "10,000 steps", "decay": "cosine", "weight decay": 0.05, "clip": 1.0, "EMA": None},
        **{"center crop": True},
    },
    "in1k fine-tuning": {
        "stochastic depth": dict(t=0.2, s=0.3, b=0.4, l=0.6),
        **{"RandAugment": (2, 15), "mixup": 0.8, "loss": "softmax", "label smoothing": 0.1},
        **{"epochs": 30, "batch": 512, "optimizer": "AdamW", "peak rate": 5e-5, "min rate": 5e-5},
        **{"warm-up": None, "decay": None, "weight decay": 1e-8, "clip": 1.0, "EMA": 0.9999},
        **{"center crop": False},
    },
    "in21k": {
        "stochastic depth": dict(b=0.3, l=0.4, xl=0.6),
        **{"RandAugment": (2, 5), "mixup": None, "loss": "sigmoid", "label smoothing": 0.0001},
        **{"epochs": 90, "batch": 4096, "optimizer": "AdamW", "peak rate": 1e-3, "min rate": 1e-5},
        **{"warm-up": "5 epochs", "decay": "linear", "weight decay": 0.01, "clip": 1.0, "EMA": None},
        **{"center crop": True},
    },
    "in21k fine-tuning": {
        "stochastic depth": dict(b=0.4, l=0.5, xl=0.9),
        **{"RandAugment": (2, 15), "mixup": None, "loss": "softmax", "label smoothing": 0.1},
        **{"epochs": 30, "batch": 512, "optimizer": "AdamW", "peak rate": 5e-5, "min rate": 5e-5},
        **{"warm-up": None, "decay": None, "weight decay": 1e-8, "clip": 1.0, "EMA": 0.9999},
        **{"center crop": False},
    },
}
OF_TABLE = {
    "in1k": [f"maxvit_{size}_in1k" for size in "tsbl"],
    "in1k fine-tuning": [f"maxvit_{size}_{side}_in1k" for size in "tsbl" for side in (384, 512)],
    "in21k": [f"maxvit_{size}_in21k" for size in ("b", "l", "xl")],
    "in21k fine-tuning": [
        f"maxvit_{size}_{side}_in21k_in1k" for size in ("b", "l", "xl") for side in (384, 512)
    ],
}
DECAYS = {"CosineAnnealingLR": "cosine", "PolyLR": "linear"}


def column(cfg):
    """What a config says of each row of the table, but for stochastic depth."""
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    crop = next(step for step in cfg.test_dataloader.dataset.pipeline if step.type == "MaxViTCrop")
    loss, optimizer = cfg.model.head.loss, cfg.optim_wrapper.optimizer
    sigmoid = loss.get("use_sigmoid", False)
    warm_up, decay = cfg.param_scheduler or (None, None)
    ema = next((hook for hook in cfg.custom_hooks if hook.type == "EMAHook"), None)
    augments = (cfg.model.get("train_cfg") or {}).get("augments") or {}
    said = None
    if warm_up:
        said = f"{warm_up.end:,} steps" if not warm_up.by_epoch else f"{warm_up.end} epochs"
        assert (decay.begin, decay.by_epoch) == (warm_up.end, warm_up.by_epoch)
        assert decay.get("power", 1.0) == 1.0
        length = decay.end if decay.by_epoch else decay.end / 313  # steps of 4096 images
        assert length == cfg.train_cfg.max_epochs
    return {
        "RandAugment": (steps["RandAugment"].num_policies, steps["RandAugment"].magnitude_level),
        "mixup": augments.get("alpha"),
        "loss": "sigmoid" if sigmoid else "softmax",
        # MMPretrain's smooths a sigmoid to both sides, TensorFlow's moves half of it to each
        "label smoothing": loss.label_smooth_val * (2 if sigmoid else 1),
        "epochs": cfg.train_cfg.max_epochs,
        "batch": cfg.auto_scale_lr.base_batch_size,
        "optimizer": optimizer.type,
        "peak rate": optimizer.lr,
        "min rate": decay.eta_min if decay else optimizer.lr,
        "warm-up": said,
        "decay": decay and DECAYS[decay.type],
        "weight decay": optimizer.weight_decay,
        "clip": cfg.optim_wrapper.clip_grad.max_norm,
        "EMA": ema and 1 - ema.momentum,
        "center crop": crop.trained_size <= 224,
    }


@pytest.mark.parametrize("name", [name for names in OF_TABLE.values() for name in names])
def test_each_value_is_that_of_table_12(name):
    cfg = read(name)
    expected = dict(TABLE_12[next(key for key, names in OF_TABLE.items() if name in names)])
    rate = expected.pop("stochastic depth")[name.split("_")[1]]
    assert cfg.model.backbone.drop_path_rate == rate
    found = column(cfg)
    assert found.keys() == expected.keys()
    for row, value in expected.items():
        assert found[row] == (pytest.approx(value) if isinstance(value, float) else value), row


def test_every_config_but_two_is_of_the_table():
    named = {name for names in OF_TABLE.values() for name in names}
    others = {path.stem for path in LEAVES} - named
    assert others == {"maxvit_t_tiny_imagenet", "maxvit_pico_shapes_classes"}
    assert named < {path.stem for path in LEAVES}


@pytest.mark.parametrize("name", [name for names in OF_TABLE.values() for name in names])
def test_sizes_partitions_and_pixels_are_the_official_codes(name):
    cfg = read(name)
    side = next((int(part) for part in name.split("_") if part.isdigit()), 224)
    assert scale_of(cfg) == (side, side)
    assert cfg.model.backbone.partition_size == "scaled"  # 7, 12 and 16
    assert "table_partition_size" not in cfg.model.backbone  # 7, resized
    inception = side > 224 or "in21k" in name
    assert cfg.model.data_preprocessor.mean == ([127.5] * 3 if inception else [123.675, 116.28, 103.53])
    assert cfg.optim_wrapper.dtype == "bfloat16"


@pytest.mark.parametrize(("name", "pixels"), [("maxvit_t_in1k", 224), ("maxvit_t_384_in1k", 384)])
def test_randaugment_at_15_does_what_googles_code_does(name, pixels):
    enter_scope(cfg := read(name))
    from mmpretrain.registry import TRANSFORMS

    augment = TRANSFORMS.build(
        next(step for step in cfg.train_dataloader.dataset.pipeline if step.type == "RandAugment")
    )
    assert len(augment.transforms) == 16
    values = {}
    for each in augment.transforms:
        assert each.prob == 0.5
        key = (type(each).__name__, getattr(each, "direction", None))
        values[key] = each.random_magnitude() if each.magnitude_range is not None else None
    scale = {key[0]: value for key, value in values.items()}
    assert scale["Rotate"] == 45
    assert scale["Posterize"] == 6
    assert scale["SolarizeAdd"] == 165
    assert scale["Cutout"] == 120  # 60 to either side
    assert 1 + scale["ColorTransform"] == pytest.approx(0.1 + 1.5 * 1.8)
    assert values["Translate", "vertical"] * pixels == pytest.approx(150)
    assert values["Shear", "horizontal"] == pytest.approx(0.45)


def test_a_sigmoid_is_smoothed_as_tensorflow_does():
    loss = MODELS.build(read("maxvit_b_in21k").model.head.loss)
    target = loss.smooth_label(torch.eye(5))
    assert target[0].tolist() == pytest.approx([1 - 0.0001 / 2] + [0.0001 / 2] * 4)


def test_tiny_imagenets_parameters_differ_from_the_published_ones_by_what_the_page_says():
    """Of 33,067,056, counted in the reproduction's own summary."""
    parts = {"stem": 0, "mbconv": 0, "attention": 0, "head": 0}
    for name, parameter in build(read("maxvit_t_tiny_imagenet")).named_parameters():
        parts[next(part for part in parts if part in name)] += parameter.numel()
    theirs = {"stem": 38_592, "mbconv": 11_397_312, "attention": 21_528_552, "head": 102_600}
    assert sum(theirs.values()) == 33_067_056
    assert sum(parts.values()) == 30_506_128
    assert parts["attention"] == theirs["attention"]
    page = (ROOT / "docs" / "classification.md").read_text()
    for part in ("stem", "mbconv", "head"):
        assert f"{parts[part]:,}" in page
        assert f"{theirs[part]:,}" in page


def test_tiny_imagenet_is_shown_four_times_an_epoch_as_published():
    cfg = read("maxvit_t_tiny_imagenet")
    assert cfg.train_cfg.max_epochs == 4 * 40
    assert np.isclose(cfg.param_scheduler[0].end, cfg.train_cfg.max_epochs)
    assert (cfg.optim_wrapper.optimizer.lr, cfg.train_dataloader.batch_size) == (5e-4, 128)
