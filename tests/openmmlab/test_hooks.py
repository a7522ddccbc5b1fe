import json
from types import SimpleNamespace

import pytest
import torch
from conftest import about_weights
from mmdet.datasets import CocoDataset
from mmengine.dataset import ConcatDataset
from mmengine.runner import BaseLoop

from maxvit_mm import MaxViT
from maxvit_mm.openmmlab.class_names import difference, plain_datasets
from maxvit_mm.openmmlab.curves import read_log
from maxvit_mm.openmmlab.hooks import ClassNamesHook, NormalizationHook, normalization_problems
from maxvit_mm.weights import CheckpointError, Weights, write_weights


def annotation_file(path, names):
    images = [dict(id=1, file_name="a.jpg", height=9, width=9)]
    box = dict(image_id=1, bbox=[0, 0, 4, 4], area=16, iscrowd=0)
    annotations = [dict(id=i, category_id=i, **box) for i in range(1, len(names) + 1)]
    categories = [dict(id=i, name=name) for i, name in enumerate(names, start=1)]
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return str(path)


class Runner:
    """As much of a runner as the hook looks at."""

    def __init__(self, dataset):
        self._train_loop = type("Loop", (), dict(dataloader=type("Loader", (), dict(dataset=dataset))))
        self._val_loop = self._test_loop = None


def check(tmp_path, in_file, in_config):
    dataset = CocoDataset(
        ann_file=annotation_file(tmp_path / "a.json", in_file),
        metainfo=dict(classes=in_config),
        data_prefix=dict(img=""),
        pipeline=[],
    )
    ClassNamesHook().before_run(Runner(ConcatDataset([dataset])))


def test_the_files_own_classes_pass(tmp_path):
    check(tmp_path, ["cat", "dog"], ("cat", "dog"))
    check(tmp_path, ["cat", "cow", "dog"], ("cat", "dog"))  # some of them, in their order


@pytest.mark.parametrize(
    ("in_config", "words"),
    [
        (("cat", "dgo"), "a.json has no class named dgo. Set metainfo"),
        (("dog", "cat"), "in the order cat, dog, the config as dog, cat"),
    ],
)
def test_other_classes_stop_the_run_and_are_named(tmp_path, in_config, words):
    with pytest.raises(SystemExit, match=words):
        check(tmp_path, ["cat", "dog"], in_config)


def test_a_dataset_of_cocos_classes_needs_all_of_them(tmp_path):
    dataset = CocoDataset(
        ann_file=annotation_file(tmp_path / "a.json", ["person", "car"]),
        data_prefix=dict(img=""),
        pipeline=[],
    )
    with pytest.raises(SystemExit, match="no class named bicycle"):
        ClassNamesHook().before_run(Runner(dataset))


def test_wrapped_datasets_are_found(tmp_path):
    dataset = CocoDataset(
        ann_file=annotation_file(tmp_path / "a.json", ["cat"]),
        metainfo=dict(classes=("cat",)),
        data_prefix=dict(img=""),
        pipeline=[],
    )
    assert list(plain_datasets(ConcatDataset([dataset, dataset]))) == [dataset, dataset]


def checkpoint_of(*classes):
    return dict(meta=dict(dataset_meta=dict(classes=classes)), state_dict={})


class Loop(BaseLoop):
    def __init__(self, *classes):
        self.dataloader = SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(classes=classes)))

    def run(self):
        raise NotImplementedError


def started(train=None, test=None, resume=False):
    """As much of a runner as the hook looks at when a checkpoint has been read."""
    said = []
    logger = SimpleNamespace(warning=said.append)
    loops = dict(_train_loop=train, _val_loop=None, _test_loop=test)
    return SimpleNamespace(**loops, _resume=resume, _load_from="c.pth", logger=logger, said=said)


@pytest.mark.parametrize("meta", [{}, {"dataset_meta": None}, {"dataset_meta": {"classes": 3}}, [], None])
def test_a_checkpoint_that_does_not_tell_its_classes_passes(meta):
    ClassNamesHook().after_load_checkpoint(started(test=Loop("cat", "dog")), dict(meta=meta))


def test_one_class_may_be_kept_as_a_text():
    """As MMDetection 2 did for `classes=("cat")`."""
    checkpoint = dict(meta=dict(CLASSES="cat"))
    ClassNamesHook().after_load_checkpoint(started(test=Loop("cat")), checkpoint)
    with pytest.raises(CheckpointError, match="on the classes cat, and here they are dog"):
        ClassNamesHook().after_load_checkpoint(started(test=Loop("dog")), checkpoint)


@pytest.mark.parametrize("checkpoint", [checkpoint_of("cat", "dog"), dict(meta=dict(CLASSES=("cat", "dog")))])
def test_the_same_classes_pass_and_are_found_where_older_versions_keep_them(checkpoint):
    ClassNamesHook().after_load_checkpoint(started(test=Loop("cat", "dog")), checkpoint)
    with pytest.raises(CheckpointError):
        ClassNamesHook().after_load_checkpoint(started(test=Loop("cat", "cow")), checkpoint)


@pytest.mark.parametrize(
    ("runner", "classes", "words"),
    [
        (
            started(test=Loop("dog", "cat")),
            ("cat", "dog"),
            ["in another order, cat, dog", "--classes-by-name"],
        ),
        (started(test=Loop("cat", "cow")), ("cat", "dog"), ["classes cat, dog, and here they are cat, cow"]),
        (started(train=Loop("cat"), resume=True), ("cat", "dog"), ["leave out --resume", "load_from=c.pth"]),
    ],
)
def test_a_checkpoint_of_other_classes_is_neither_tested_nor_resumed(runner, classes, words):
    with pytest.raises(CheckpointError) as caught:
        ClassNamesHook().after_load_checkpoint(runner, checkpoint_of(*classes))
    assert all(word in str(caught.value) for word in ["c.pth", "Nothing was started", *words])


def test_training_from_other_classes_goes_on_and_says_so():
    runner = started(train=Loop("cat", "cow"))
    ClassNamesHook().after_load_checkpoint(runner, checkpoint_of("cat", "dog"))
    assert "trained on the classes cat, dog, and here they are cat, cow" in runner.said[0]


def test_of_many_classes_those_that_differ_are_named():
    many = [f"class {i}" for i in range(80)]
    other = [*many[:79], "wolf"]
    assert "only the checkpoint has class 79; only this run has wolf" in difference(many, other)
    assert "label 0 is class 79 there and class 0 here" in difference(many[::-1], many)


class Preprocessor:
    def __init__(self, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), rgb=True):
        self.mean, self.std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
        self._channel_conversion = rgb


IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], source="w.pth")


def test_equal_normalisation_and_weights_that_say_nothing_pass():
    assert list(normalization_problems(IMAGENET, Preprocessor())) == []
    assert list(normalization_problems({}, Preprocessor(mean=(0, 0, 0)))) == []


@pytest.mark.parametrize(
    ("about", "preprocessor", "words"),
    [
        (IMAGENET, Preprocessor(mean=(127.5,) * 3), ["set model.data_preprocessor.mean=[123.675, 116.28,"]),
        (IMAGENET, Preprocessor(std=(127.5,) * 3), ["set model.data_preprocessor.std=[58.395, 57.12,"]),
        (IMAGENET, Preprocessor(rgb=False), ["bgr_to_rgb=True"]),
        (IMAGENET, Preprocessor(mean=(127.5,)), ["mean="]),
        (dict(IMAGENET, mean=None, std=None), Preprocessor(), ["NOT CHECKED"]),
        (IMAGENET, Preprocessor(mean=(0,) * 3, std=(1,) * 3), ["mean=", "std="]),
    ],
)
def test_another_normalisation_is_reported_with_what_to_set(about, preprocessor, words):
    problems = list(normalization_problems(about, preprocessor))
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))


def test_a_detector_is_compared_with_its_own_weights_before_the_first_step(tmp_path):
    tensors = MaxViT("pico").state_dict()
    about = about_weights(mean=[127.5] * 3)
    write_weights(tmp_path / "w.pth", Weights(tensors, about))
    backbone = MaxViT("pico", init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth")))
    backbone.init_weights()
    model = torch.nn.ModuleDict(dict(backbone=backbone))
    model.data_preprocessor = Preprocessor()
    said = []
    logger = type("Logger", (), dict(warning=staticmethod(said.append)))
    NormalizationHook().before_train(type("Runner", (), dict(model=model, logger=logger)))
    assert len(said) == 1
    assert "NORMALISATION DIFFERS" in said[0]


def write_logs(work_dir, runs):
    for name, lines in runs.items():
        (work_dir / name / "vis_data").mkdir(parents=True)
        (work_dir / name / "vis_data" / "scalars.json").write_text("\n".join(lines))


def test_a_killed_runs_last_line_and_an_older_runs_losses_are_left_out_of_the_curve(tmp_path):
    cut = ['{"lr": 1, "loss": 9.0, "step": 10}', '{"lr": 1, "loss": 8.']
    fresh = ['{"lr": 1, "loss": 4.0, "step": 10}', '{"lr": 1, "loss": 3.0, "step": 20}']
    write_logs(tmp_path, {"1": [*cut], "2": fresh, "3": ['{"lr": 1, "loss": 2.0, "step": 30}']})
    assert read_log(tmp_path)[0] == {"loss": ([10, 20, 30], [4.0, 3.0, 2.0])}


def test_a_resumed_runs_curve_goes_on_from_the_first_ones(tmp_path):
    runs = {
        "20260101": [dict(lr=1, loss=4.0, loss_mask=2.0, step=10), dict(lr=1, loss=3.0, step=20)],
        "20260102": [
            dict(lr=1, loss=2.5, step=20),
            dict(lr=1, loss=2.0, step=30),
            {"coco/bbox_mAP": 0.5, "coco/bbox_mAP_50": 0.75, "step": 2},
        ],
    }
    for name, records in runs.items():
        (tmp_path / name / "vis_data").mkdir(parents=True)
        log = tmp_path / name / "vis_data" / "scalars.json"
        log.write_text("\n".join(map(json.dumps, records)))
    losses, metrics = read_log(tmp_path)
    assert losses == {"loss": ([10, 20, 30], [4.0, 2.5, 2.0]), "loss_mask": ([10], [2.0])}
    assert metrics == {"coco/bbox_mAP": ([30], [0.5])}  # measured after step 30, in epoch 2
