"""How a training follows from its data: the arithmetic, and what becomes of a config."""

from functools import cache

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS
from runs import PICO

from maxvit_mm.data.survey import Survey, survey
from maxvit_mm.measure import checkup
from maxvit_mm.openmmlab.image_size import in_network, parse_scale, scale_of, set_scale
from maxvit_mm.openmmlab.planning import Data, Settled, Wishes, plan_training
from maxvit_mm.openmmlab.schedules import schedulers_of
from maxvit_mm.openmmlab.shipped_configs import find_config
from maxvit_mm.openmmlab.training_plan import interval_for, rate_for, scale_for, warm_up_for
from maxvit_mm.openmmlab.written_keys import keys_of_user

TINY = "mask_rcnn_maxvit_t_coco"
PEDESTRIANS = Survey(130, 560, 540, 120.0)


@cache
def config(name):
    return Config.fromfile(find_config(name))


def planned(name, found=PEDESTRIANS, *, options=None, val=30, processes=1, follow=True, **wishes):
    recipe = config(name) if isinstance(name, str) else name
    cfg = Config(recipe.to_dict())
    cfg.merge_from_dict(options or {})
    data = Data(found, val, follow) if found else None
    return cfg, plan_training(cfg, recipe, Wishes(**wishes), Settled(options), data, processes)


@pytest.mark.parametrize(
    ("images", "processes", "epochs", "steps"),
    [
        (130, 1, 116, 7540),  # 12 x (117,266 / 130) ** (1/3) epochs of 65 steps
        (130, 8, 124, 1116),  # 116 would be less than a thousand steps
        (100_000, 8, 13, 81_250),
        (117_266, 8, 12, 87_960),  # COCO's own recipe
    ],
)
def test_fewer_images_are_shown_more_often_in_fewer_steps(images, processes, epochs, steps):
    cfg, plan = planned(TINY, PEDESTRIANS._replace(images=images), processes=processes)
    assert (cfg.train_cfg.max_epochs, plan.length.steps) == (epochs, steps)
    warm, falls = cfg.param_scheduler
    assert warm.end == plan.warm_up <= max(2, plan.length.steps / 20)
    assert falls.end == epochs
    assert falls.milestones[0] / epochs == pytest.approx(8 / 12, abs=0.03)
    assert 8 <= epochs / cfg.train_cfg.val_interval <= 13
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval


def test_a_config_by_steps_keeps_counting_them():
    cfg, plan = planned(PICO)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (1000, 100)
    warm, cosine = cfg.param_scheduler
    assert (warm.end, cosine.begin, cosine.end) == (50, 50, 1000)
    assert plan.rate == 1e-3  # for 4 images a step, as the config has
    assert plan.seen == (320, 309)


@pytest.mark.parametrize(("name", "images"), [(PICO, 130), (PICO, 1000), (TINY, 130)])
def test_a_plan_is_a_fixed_point(name, images):
    found = PEDESTRIANS._replace(images=images)
    once, plan = planned(name, found)
    twice, again = planned(once, found)
    assert again == plan
    assert twice.to_dict() == once.to_dict()


def test_the_rate_follows_from_the_images_a_step_by_the_root_for_adam_and_in_proportion_for_sgd():
    assert rate_for(1e-4, 4, 16, "AdamW") == pytest.approx(5e-5)
    assert rate_for(0.02, 4, 16, "SGD") == pytest.approx(0.005)
    accumulated = {"optim_wrapper.accumulative_counts": 4}
    assert planned(TINY, options=accumulated, processes=2)[1].rate == pytest.approx(1e-4)


def test_what_is_set_stays_as_it_is():
    options = {"train_cfg.max_epochs": 5, "optim_wrapper.optimizer.lr": 3e-5, "param_scheduler.0.end": 7}
    options |= {"train_cfg.val_interval": 2, "test_dataloader.dataset.pipeline.1.scale": (640, 480)}
    cfg, plan = planned(TINY, options=options)
    assert (plan.length.epochs, plan.rate, plan.warm_up, plan.every) == (5, 3e-5, 7, 2)
    assert cfg.param_scheduler[1].milestones == [8, 11]
    assert scale_of(cfg) == (640, 480)
    assert planned(TINY, follow=False)[0].to_dict() == config(TINY).to_dict()


def test_what_a_users_own_config_sets_is_told_from_what_it_inherits(tmp_path):
    file = tmp_path / "mine.py"
    lines = ["_base_ = 'x.py'", "train_cfg = dict(max_epochs=3)", "data_root = 'd'"]
    lines += ["optim_wrapper = dict(optimizer={'lr': 1e-3}, clip_grad=None)", "param_scheduler = []"]
    file.write_text("\n".join(lines))
    own = ["_base_", "train_cfg.max_epochs", "data_root", "optim_wrapper.optimizer.lr"]
    assert keys_of_user(file) == [*own, "optim_wrapper.clip_grad", "param_scheduler"]
    assert keys_of_user(find_config(TINY)) == []


def test_a_wish_without_data_stretches_the_schedule_and_leaves_the_rest():
    cfg, _ = planned(TINY, None, epochs=24)
    assert cfg.train_cfg.max_epochs == 24
    assert cfg.param_scheduler[1].milestones == [16, 22]
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert scale_of(cfg) == (1333, 800)


def test_steps_are_counted_where_they_are_asked_for():
    cfg, plan = planned(TINY, steps=100, batch=4, rate=2e-4)
    assert (cfg.train_cfg.type, cfg.train_cfg.max_iters) == ("IterBasedTrainLoop", 100)
    assert [s.by_epoch for s in schedulers_of(cfg)] == [False, False]
    assert cfg.param_scheduler[1].milestones == [67, 92]
    assert (cfg.default_hooks.checkpoint.by_epoch, cfg.log_processor.by_epoch) == (False, False)
    assert (plan.batch, plan.rate) == (4, 2e-4)
    assert planned(PICO, epochs=2)[0].train_cfg.max_iters == 2 * 33


@pytest.mark.parametrize("name", [PICO, TINY, "maxvit_t_in1k", "maxvit_b_in21k"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_schedule_ends_with_a_training_of_a_few_steps_and_can_be_stretched_again(name, steps):
    cfg, _ = planned(name, None, steps=steps)
    assert list(checkup.schedules(cfg)) == []
    longer, _ = planned(cfg, None, steps=100)
    for trained, ends in (cfg, steps), (longer, 100):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
        arguments = dict(default_args=dict(optimizer=optimizer, epoch_length=10))
        _, falls = [PARAM_SCHEDULERS.build(dict(each), **arguments) for each in schedulers_of(trained)]
        assert falls.begin in (0, 1, 2)
        assert (falls.end, falls.by_epoch) == (ends, False)


def test_what_does_not_fit_together_is_said():
    (rate,) = planned(PICO, rate=0.1)[1].notes()
    assert "the learning rate 0.1 is 1e+02 times" in rate
    (objects,) = planned(PICO, PEDESTRIANS._replace(object_side=10.0))[1].notes()
    assert "half of the objects are under 6 pixels wide in the network" in objects
    assert "--img-scale 480" in objects


def test_a_large_validation_split_is_evaluated_less_often():
    _, plan = planned(PICO, val=30)
    assert interval_for(plan.length, 130, 30) == 100
    assert interval_for(plan.length, 130, 2000) == 1000


def test_images_are_enlarged_twice_at_most():
    assert scale_for((1333, 800), 640, 480) == (1333, 800)
    assert in_network(scale_for((1333, 800), 200, 200), 200, 200) == (416, 416)
    assert scale_for(None, 256, 256) is None
    assert scale_for(None, 4000, 3000) == (320, 320)


def test_a_warm_up_has_the_two_steps_that_mmengine_needs_to_end_it():
    assert [warm_up_for(1000, steps) for steps in (90_000, 7605, 4)] == [1000, 380, 2]


def test_one_scale_is_set_in_every_place():
    cfg = Config.fromfile(find_config("mask_rcnn_maxvit_t_3x_coco"))
    set_scale(cfg, parse_scale("666x400"))
    train = str(cfg.train_dataloader.dataset.pipeline)
    assert "(400, 666)" in train  # of (800, 1333)
    assert "'crop_size': (192, 300)" in train
    assert scale_of(cfg) == (666, 400)
    assert cfg.val_dataloader.dataset.pipeline[1].scale == (666, 400)

    square = Config.fromfile(find_config("retinanet_maxvit_b_640_coco"))
    set_scale(square, parse_scale("320"))
    pipeline = square.train_dataloader.dataset.pipeline
    sizes = {step.type: step.get("scale") or step.get("crop_size") for step in pipeline}
    assert (sizes["RandomResize"], sizes["RandomCrop"]) == ((320, 320), (320, 320))
    assert square.model.data_preprocessor.pad_size_divisor == 320
    with pytest.raises(ValueError, match="12"):
        parse_scale("12")


def test_a_survey_counts_what_is_learnt(shapes):
    found = survey(shapes / "annotations/instances_train2017.json")
    assert found.images == 6
    assert 100 < found.width < 250
    stars = survey(shapes / "annotations/instances_train2017.json", classes=["star"])
    assert 0 < stars.images < 6
