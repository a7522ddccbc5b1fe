import numpy as np
import pytest
import torch
from conftest import ROOT, SMALL
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from maxvit_mm.measure.config_cost import build
from maxvit_mm.openmmlab.hardware import use_float32

CONFIGS = ROOT / "configs"
LEAVES = sorted(CONFIGS.glob("*.py"))
# One for each kind of detector; the others differ in sizes and schedules.
KINDS = [
    CONFIGS / f"{name}.py"
    for name in (
        "mask_rcnn_maxvit_pico_shapes",
        "cascade_mask_rcnn_maxvit_pico_shapes",
        "mask_rcnn_maxvit_t_coco",
        "cascade_mask_rcnn_maxvit_t_coco",
        "cascade_mask_rcnn_maxvit_t_640_coco",
        "retinanet_maxvit_b_640_coco",
        "faster_rcnn_maxvit_t_coco",
        "mask2former_maxvit_t_coco",
        "dino_maxvit_t_coco",
        "panoptic_fpn_maxvit_t_coco",
        "panoptic_fpn_maxvit_pico_shapes",
    )
]


@pytest.fixture(params=LEAVES, ids=[path.stem for path in LEAVES])
def cfg(request, tmp_path, monkeypatch):
    """A config, read while standing in a foreign folder."""
    monkeypatch.chdir(tmp_path)
    init_default_scope("mmdet")
    return Config.fromfile(request.param)


@pytest.fixture(params=KINDS, ids=[path.stem for path in KINDS])
def kind(request):
    init_default_scope("mmdet")
    return Config.fromfile(request.param)


def reduced(cfg):
    """The config's detector on a narrow backbone, for tiny images, with few boxes."""
    model = cfg.model
    model.data_preprocessor.pad_size_divisor = 32
    model.data_preprocessor.pop("batch_augments", None)  # Mask2Former's pad to 1024 x 1024
    model.backbone.arch = SMALL
    taker = model.neck if "neck" in model else model.panoptic_head
    taker.in_channels = [SMALL["widths"][i] for i in model.backbone.get("out_indices", range(4))]
    if "num_queries" in model:
        model.num_queries = 20
    if "rpn" in (model.get("test_cfg") or {}):
        model.test_cfg.rpn.max_per_img = 20
        model.test_cfg.rcnn.score_thr = 0.0
        model.test_cfg.rcnn.max_per_img = 10
        heads = model.roi_head.bbox_head
        for head in heads if isinstance(heads, list) else [heads]:
            head.fc_out_channels = 32
        stages = model.train_cfg.rcnn
        for stage in stages if isinstance(stages, list) else [stages]:
            stage.sampler.num = 32
    if "score_thr" in (model.get("test_cfg") or {}):
        model.test_cfg.score_thr = 0.0
    detector = MODELS.build(model)
    detector.init_weights()
    return detector


def packed(detector, cfg, num_items):
    """Two tiny photographs with as many random instances each, as the data pipeline packs them."""
    shapes = [(3, 96, 128), (3, 75, 101)]
    classes = 4 if "shapes" in str(cfg.train_dataloader.dataset.data_root) else 80
    semantic = "semantic_head" in cfg.model
    inputs = demo_mm_inputs(
        2, shapes, num_items=num_items, num_classes=classes, with_mask=True, with_semantic=semantic
    )
    return detector.data_preprocessor(inputs, training=True)


def losses(detector, batch):
    found = detector(**batch, mode="loss")
    total, named = detector.parse_losses(found)
    assert all(np.isfinite(float(value.detach())) for value in named.values()), named
    return total


def test_the_neck_takes_what_the_backbone_gives(cfg):
    detector = build(cfg)
    taker = cfg.model.neck if "neck" in cfg.model else cfg.model.panoptic_head
    assert detector.backbone.out_channels == list(taker.in_channels)


def shape_of(node):
    """A config without its numbers: keys, and the types that they build."""
    if isinstance(node, dict):
        return {key: str(value) if key == "type" else shape_of(value) for key, value in node.items()}
    return [shape_of(value) for value in node] if isinstance(node, (list, tuple)) else type(node).__name__


@pytest.fixture(scope="module")
def shapes_of_kinds():
    return [shape_of(Config.fromfile(path).model.to_dict()) for path in KINDS]


def test_every_config_is_of_a_kind_that_trains_here(cfg, shapes_of_kinds):
    """The rest of these tests train one detector of each kind; another is the same but for numbers."""
    assert shape_of(cfg.model.to_dict()) in shapes_of_kinds


def test_every_kind_trains_and_tests_on_tiny_images(kind):
    cfg = kind
    detector = reduced(cfg).train()
    batch = packed(detector, cfg, [6, 4])
    losses(detector, batch).backward()
    without = [n for n, p in detector.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad.isfinite().all() for p in detector.parameters() if p.grad is not None)

    detector.eval()
    with torch.no_grad():
        results = detector(**packed(detector, cfg, [2, 2]), mode="predict")
    for result in results:
        height, width = result.ori_shape
        if "semantic_head" in cfg.model:
            assert result.pred_panoptic_seg.sem_seg.shape[-2:] == (height, width)
            continue
        found = result.pred_instances
        assert (found.bboxes >= 0).all()
        assert (found.bboxes <= torch.tensor([width, height, width, height])).all()
        assert ("masks" in found) == ("mask" in cfg.model.type.lower() or "cascade" in cfg.model.type.lower())
        assert len(found) > 0
        if "masks" in found:
            assert found.masks.shape == (len(found), height, width)


def test_images_without_an_object_train(kind):
    detector = reduced(kind).train()
    for num_items in ([0, 3], [0, 0]):
        total = losses(detector, packed(detector, kind, num_items))
        total.backward()
        assert total.isfinite()


def test_norms_biases_and_tables_do_not_decay(kind):
    detector = build(kind)
    use_float32(kind)
    optimizer = build_optim_wrapper(detector, kind.optim_wrapper).optimizer
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    free = ("relative_position_bias_table", "query_embed.weight", "query_feat.weight", "level_embed.weight")
    for name, parameter in detector.named_parameters():
        assert (decay[id(parameter)] == 0) == (parameter.ndim == 1 or name.endswith(free)), name


@pytest.mark.parametrize("name", ["dino_maxvit_t_coco", "mask2former_maxvit_t_coco"])
def test_where_mmdetection_lets_the_backbone_learn_slower_so_do_we(name):
    init_default_scope("mmdet")
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    detector = build(cfg)
    optimizer = build_optim_wrapper(detector, cfg.optim_wrapper).optimizer
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for parameter_name, parameter in detector.named_parameters():
        assert rates[id(parameter)] == (1e-5 if parameter_name.startswith("backbone.") else 1e-4)


def test_every_run_imports_the_plugin_and_checks_the_classes(cfg):
    assert cfg.custom_imports == dict(imports=["maxvit_mm"], allow_failed_imports=False)
    checks = {"NumClassCheckHook", "ClassNamesHook", "CompleteLoadHook", "NormalizationHook", "ReseedHook"}
    if "panoptic" in str(cfg.train_dataloader.dataset.type).lower():
        checks.remove("NumClassCheckHook")  # its box head counts things, its data set stuff as well
    assert checks <= {hook.type for hook in cfg.custom_hooks}
    assert not hasattr(build(cfg).backbone, "num_classes")  # the first of them asks it


def check_googles_cascade(model):
    assert model.backbone.out_indices == (1, 2, 3)
    assert model.neck.num_outs == 5
    anchors = model.rpn_head.anchor_generator
    assert (anchors.octave_base_scale, anchors.scales_per_octave) == (3, 3)
    assert anchors.strides == [8, 16, 32, 64, 128]
    assert model.rpn_head.num_convs == 2
    assert [stage.assigner.pos_iou_thr for stage in model.train_cfg.rcnn] == [0.6, 0.7]
    assert model.roi_head.num_stages == len(model.roi_head.bbox_head) == 2
    for head in model.roi_head.bbox_head:
        assert head.reg_class_agnostic
    for part in (model.neck, *model.roi_head.bbox_head, model.roi_head.mask_head):
        assert part.norm_cfg == dict(type="SyncBN", eps=1e-3, momentum=0.01)


def test_mixed_precision_leaves_boxes_where_they_are():
    """In bf16 a coordinate of 701.3 is 700, and a box of 20 pixels another box."""
    init_default_scope("mmdet")
    for path in KINDS:
        roi_head = Config.fromfile(path).model.get("roi_head") or {}
        for name in (name for name in roi_head if name.endswith("roi_extractor")):
            extractor = MODELS.build(roi_head[name])
            maps = tuple(
                torch.arange(896 // stride).float().expand(1, extractor.out_channels, 4, -1).bfloat16()
                for stride in extractor.featmap_strides
            )
            boxes = torch.tensor([[0, 701.3, 8.0, 721.3, 24.0]])
            crops = extractor(maps, boxes)
            exact = extractor(tuple(map_.float() for map_ in maps), boxes)
            assert crops.dtype == torch.bfloat16
            torch.testing.assert_close(crops, exact.bfloat16())


def test_googles_recipes_are_googles():
    """What the recipe states, where configs could drift from it."""
    init_default_scope("mmdet")
    rates, survivals, steps = {}, {}, {}
    for path in sorted(CONFIGS.glob("cascade*_[68][49]?_coco.py")):
        cfg = Config.fromfile(path)
        size = int(path.stem.split("_")[-2])
        key = (path.stem.split("_")[4], size)
        rates[key] = cfg.optim_wrapper.optimizer.lr
        survivals[key] = round(1 - cfg.model.backbone.drop_path_rate, 9)
        steps[key] = cfg.train_cfg.max_iters
        assert cfg.optim_wrapper.optimizer.weight_decay == {896: 0.05, 640: 1e-4}[size]
        assert cfg.optim_wrapper.dtype == "bfloat16"
        assert cfg.model.data_preprocessor.pad_size_divisor == size
        assert cfg.model.backbone.partition_size == "scaled"
        assert cfg.auto_scale_lr.base_batch_size == 256
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            scales = {step.scale for step in loader.dataset.pipeline if "scale" in step}
            assert scales == {(size, size)}
        jitter = next(s for s in cfg.train_dataloader.dataset.pipeline if s.type == "RandomResize")
        assert jitter.ratio_range == (0.1, 2.5)
        assert cfg.train_dataloader.dataset.filter_cfg.filter_empty_gt is False
        check_googles_cascade(cfg.model)
        cosine = cfg.param_scheduler[1]
        length = cosine.get("T_max", cosine.end - cosine.begin)
        assert (cosine.begin, cosine.end) == (6_000, 90_000)
        assert cosine.begin + length == {896: 90_000, 640: 115_750}[size]
        ema = next(hook for hook in cfg.custom_hooks if hook.type == "EMAHook")
        assert ema.momentum == pytest.approx(1 - 0.9998)
    assert rates == {
        **{("t", 896): 1e-3, ("s", 896): 3e-3, ("b", 896): 3e-3, ("l", 896): 3e-3},
        **{(size, 640): 2e-3 for size in "tsb"},
    }
    assert survivals == {
        **{("t", 896): 0.8, ("s", 896): 0.5, ("b", 896): 0.2, ("l", 896): 0.2},
        **{("t", 640): 0.3, ("s", 640): 0.5, ("b", 640): 0.7},
    }
    assert steps == {key: 115_750 if key == ("s", 896) else 90_000 for key in rates}
