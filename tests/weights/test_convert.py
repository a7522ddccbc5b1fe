"""The converter as a user calls it: what it takes, what it refuses, and what is left on disk."""

import hashlib
import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensor_bundle
import torch
from conftest import FILES, SMALL, randomise
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from maxvit_mm import MaxViT
from maxvit_mm.commands.convert_weights import main
from maxvit_mm.network import VARIANTS
from maxvit_mm.openmmlab.classifier import MaxViTClassifier
from maxvit_mm.weights import (
    NORMALIZATIONS,
    Architecture,
    CheckpointError,
    convert,
    read_weights,
    tensorflow,
)
from maxvit_mm.weights.architecture import convention_of
from maxvit_mm.weights.normalization import image_size_in, image_size_of, normalization_of
from maxvit_mm.weights.translation import Line, Translation

DATA = FILES
TIMM, TORCHVISION = DATA / "timm.safetensors", DATA / "torchvision.safetensors"


@pytest.fixture
def reader(monkeypatch):
    monkeypatch.setattr(tensorflow, "import_reader", lambda: tensor_bundle.load_checkpoint)


def refusal(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code not in (0, None)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_there_and_back_into_timm_is_exact(tmp_path, suffix):
    main([str(TIMM), str(tmp_path / f"ours{suffix}")])
    main([str(tmp_path / f"ours{suffix}"), str(tmp_path / f"back{suffix}"), "--to", "timm"])
    theirs, back = load_file(TIMM), read_weights(str(tmp_path / f"back{suffix}")).tensors
    assert theirs.keys() == back.keys()
    assert all(back[name].equal(tensor) for name, tensor in theirs.items())


def test_the_file_says_what_it_is_and_where_it_is_from(tmp_path, capsys):
    main([str(TIMM), str(tmp_path / "ours.safetensors"), "--normalization", "imagenet"])
    with safe_open(tmp_path / "ours.safetensors", "pt") as file:
        about = json.loads(file.metadata()["maxvit_mm"])
    assert (about["arch"], about["widths"]) == ("custom", [32, 32, 32, 64])
    assert about["table_partition_size"] == 7
    assert (about["image_size"], about["classes"], about["origin"]) == (224, 10, "timm")
    assert about["mean"] == [123.675, 116.28, 103.53]
    said = capsys.readouterr().out
    assert about["source_sha256"] == hashlib.sha256(TIMM.read_bytes()).hexdigest()
    assert about["source_sha256"] in said
    assert "classes       10\n" in said
    assert "timm maxvit_*_tf_*" in said
    assert "mean 123.675, 116.28, 103.53, std 58.395" in said
    tensors = len(load_file(TIMM))
    assert f"{tensors} in, {tensors} out" in said

    # converted again, into another kind of file, it keeps its first origin
    main([str(tmp_path / "ours.safetensors"), str(tmp_path / "again.pth")])
    again = read_weights(str(tmp_path / "again.pth"))
    assert again.about == about
    assert all(again.tensors[n].equal(t) for n, t in load_file(tmp_path / "ours.safetensors").items())


def test_a_backbone_is_taken_out_of_a_detectors_checkpoint(tmp_path, capsys):
    backbone = randomise(MaxViT(arch=SMALL)).state_dict()
    detector = {f"backbone.{name}": tensor for name, tensor in backbone.items()}
    torch.save({"state_dict": {**detector, "neck.w": torch.ones(1)}, "meta": {}}, tmp_path / "epoch_12.pth")
    main([str(tmp_path / "epoch_12.pth"), str(tmp_path / "ours.pth")])
    found = read_weights(str(tmp_path / "ours.pth"))
    assert found.about["classes"] is None
    assert "taken out of a detector" in capsys.readouterr().out
    assert found.tensors.keys() == backbone.keys()
    assert all(found.tensors[name].equal(tensor) for name, tensor in backbone.items())


@pytest.mark.parametrize("source", [TIMM, TORCHVISION])
@pytest.mark.parametrize("kind", ["missing", "left over", "of another shape", "not finite"])
def test_one_wrong_tensor_and_nothing_is_written(tmp_path, source, kind):
    tensors = load_file(source)
    name = next(name for name in sorted(tensors) if name.endswith(("conv1_1x1.weight", "conv_a.0.weight")))
    if kind == "missing":
        del tensors[name]
    elif kind == "left over":
        tensors[name.replace("weight", "wait")] = torch.ones(1)
    elif kind == "of another shape":
        tensors[name] = tensors[name][:, 1:].contiguous()
    else:
        tensors[name] = tensors[name].fill_(torch.nan)
    save_file(tensors, tmp_path / "source.safetensors")
    message = refusal(tmp_path / "source.safetensors", tmp_path / "ours.pth")
    assert "nothing was written" in message
    assert f"1 {kind}: " in message
    assert "expand.weight" in message or "wait" in message
    assert [path.name for path in tmp_path.iterdir()] == ["source.safetensors"]


class RunsCode:
    def __reduce__(self):
        return os.system, ("touch ran",)


def unreadable(tmp_path):
    whole = TIMM.read_bytes()
    torch.save(load_file(TIMM), tmp_path / "whole.pth")
    contents = {
        "empty.pth": b"",
        "page.pth": b"<!DOCTYPE html><html>404</html>",
        "code.pth": pickle.dumps({"a": RunsCode()}),
        "cut.pth": (tmp_path / "whole.pth").read_bytes()[:100_000],
        "cut.safetensors": whole[: len(whole) // 2],
        "empty.safetensors": b"",
        "page.safetensors": b"<!DOCTYPE html><html>404</html>",
    }
    (tmp_path / "whole.pth").unlink()
    (tmp_path / "folder.pth").mkdir()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {
        **dict.fromkeys(("cut.pth", "cut.safetensors"), "damaged"),
        **dict.fromkeys(("empty.pth", "empty.safetensors"), "is empty"),
        **dict.fromkeys(("page.pth", "page.safetensors"), "is a web page"),
        "code.pth": "could run code: it was not loaded",
        "folder.pth": "a folder without a TensorFlow checkpoint",
        "absent.pth": "there is no checkpoint",
    }


def test_what_cannot_be_read_has_an_error_of_its_own_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = unreadable(tmp_path)
    before = sorted(tmp_path.iterdir())
    for name, said in words.items():
        assert said in refusal(tmp_path / name, tmp_path / "ours.pth"), name
    assert sorted(tmp_path.iterdir()) == before


def test_a_checkpoint_of_something_else_is_refused_with_what_is_known(tmp_path):
    torch.save({"layer1.0.conv1.weight": torch.ones(3)}, tmp_path / "resnet.pth")
    message = refusal(tmp_path / "resnet.pth", tmp_path / "ours.pth")
    assert "no MaxViT that is known (layer1.0.conv1.weight)" in message
    assert "torchvision maxvit_t" in message


@pytest.mark.parametrize("table", [None, torch.zeros(169, 1)])
def test_timms_other_designs_are_refused(tmp_path, table):
    """They have no table, or one of a row for each offset."""
    tensors = load_file(TIMM)
    for name in [name for name in tensors if name.endswith("position_bias_table")]:
        del tensors[name]
        if table is not None:
            tensors[name] = table.clone()
    save_file(tensors, tmp_path / "rw.safetensors")
    assert "timm's own MaxViT designs" in refusal(tmp_path / "rw.safetensors", tmp_path / "ours.pth")


def test_destinations_that_cannot_be_written_are_refused_at_once(tmp_path):
    assert "must end in .pth or .safetensors" in refusal(TIMM, tmp_path / "ours.bin")
    assert "does not exist: make it first" in refusal(TIMM, tmp_path / "nowhere" / "ours.pth")
    assert "are the same file" in refusal(TIMM, TIMM)
    (tmp_path / "made.pth").mkdir()
    assert "is a folder" in refusal(TIMM, tmp_path / "made.pth")
    assert "timm has no MaxViT that computes" in refusal(TORCHVISION, tmp_path / "o.pth", "--to", "timm")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "ours.pth").write_text("the old one")

    def full(*arguments):
        raise RuntimeError("PytorchStreamWriter failed writing file data/31")  # as PyTorch does

    monkeypatch.setattr(torch, "save", full)
    assert "could not be written (is the disk full?)" in refusal(TIMM, tmp_path / "ours.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["ours.pth"]
    assert (tmp_path / "ours.pth").read_text() == "the old one"


def test_a_tensorflow_checkpoint_goes_by_its_folder_its_prefix_or_a_file_of_it(reader):
    folder = DATA / "golden" / "ckpt_C_full"
    prefix = folder / "model.ckpt-92002"
    found = [
        convert(path).weights.tensors
        for path in (folder, prefix, Path(f"{prefix}.index"), Path(f"{prefix}.data-00000-of-00001"))
    ]
    for other in found[1:]:
        assert all(other[name].equal(tensor) for name, tensor in found[0].items())
    # TensorFlow counts no batches: a count of ours begins at nothing
    counts = [tensor for name, tensor in found[0].items() if name.endswith("num_batches_tracked")]
    assert counts
    assert not any(counts)


def test_without_a_head_there_is_still_a_backbone(tmp_path, capsys):
    tensors = {n: t for n, t in load_file(TIMM).items() if not n.startswith("head.fc.")}
    save_file(tensors, tmp_path / "timm.safetensors")  # as with num_classes=0
    main([str(tmp_path / "timm.safetensors"), str(tmp_path / "ours.pth")])
    found = read_weights(str(tmp_path / "ours.pth"))
    assert found.about["classes"] is None
    assert not any(name.startswith("head.") for name in found.tensors)
    assert "none: without a head" in capsys.readouterr().out
    assert "have none" in refusal(tmp_path / "ours.pth", tmp_path / "timm.pth", "--to", "timm")


def test_tables_go_to_timm_in_the_size_of_its_model(reader, tmp_path):
    source = DATA / "golden" / "ckpt_C_full"
    assert "name it with --image-size" in refusal(source, tmp_path / "t.pth", "--to", "timm")
    main([str(source), str(tmp_path / "t.pth"), "--to", "timm", "--image-size", "384"])
    theirs, ours = torch.load(tmp_path / "t.pth"), convert(source).weights.tensors
    table = theirs["stages.0.blocks.0.attn_block.attn.rel_pos.relative_position_bias_table"]
    own = ours["trunk.stages.0.0.block_attention.attention.relative_position_bias_table"]
    assert table.equal(torch.nn.functional.interpolate(own[None], (23, 23), mode="bilinear")[0])


def test_options_cannot_contradict_what_the_file_tells(tmp_path):
    message = refusal(TIMM, tmp_path / "ours.pth", "--image-size", "384")
    assert "--image-size 384: the checkpoint itself tells 224" in message
    with pytest.raises(CheckpointError, match="--image-size 192: the checkpoint itself tells 224"):
        convert(TIMM, 192)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("stem.conv1.weight", lambda t: t.flatten(), r"conv1\.weight has shape .*, not 4 dimensions"),
        ("head.fc.weight", lambda t: t[None], r"logits\.weight has shape .*, not 2 dimensions"),
        (
            "stages.0.blocks.0.conv.conv3_1x1.weight",
            lambda t: t[1:],
            "is no MaxViT: stage widths are multiples",
        ),
    ],
)
def test_shapes_that_tell_of_no_maxvit_are_named(tmp_path, name, change, words):
    tensors = load_file(TIMM)
    save_file({**tensors, name: change(tensors[name]).contiguous()}, tmp_path / "odd.safetensors")
    with pytest.raises(CheckpointError, match=words):
        convert(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(tmp_path, dtype):
    torch.save(
        {n: t.to(dtype) if t.is_floating_point() else t for n, t in load_file(TIMM).items()},
        tmp_path / "h.pth",
    )
    found = convert(tmp_path / "h.pth").weights.tensors
    assert {tensor.dtype for tensor in found.values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64])
def test_what_are_no_real_numbers_is_refused(tmp_path, dtype):
    tensors = load_file(TIMM)
    tensors["stem.conv2.weight"] = tensors["stem.conv2.weight"].to(dtype)
    torch.save(tensors, tmp_path / "odd.pth")
    message = refusal(tmp_path / "odd.pth", tmp_path / "ours.pth")
    assert "without real numbers in them: " in message
    assert f"stem.conv2.weight ({str(dtype)[6:]})" in message


def test_a_detector_with_two_backbones_and_one_cut_short_are_named(tmp_path):
    backbone = randomise(MaxViT(arch=SMALL)).state_dict()
    two = {f"{side}.backbone.{name}": t for side in ("student", "teacher") for name, t in backbone.items()}
    torch.save(two, tmp_path / "two.pth")
    message = refusal(tmp_path / "two.pth", tmp_path / "ours.pth")
    assert "2 MaxViT backbones (student.backbone., teacher.backbone.)" in message
    torch.save(MaxViT(arch=SMALL, out_indices=(0, 1, 2)).state_dict(), tmp_path / "cut.pth")
    assert "has only 3 of MaxViT's 4 stages" in refusal(tmp_path / "cut.pth", tmp_path / "ours.pth")
    del backbone["trunk.stem.conv1.weight"]
    torch.save(backbone, tmp_path / "beheaded.pth")
    message = refusal(tmp_path / "beheaded.pth", tmp_path / "ours.pth")
    assert "1 missing: trunk.stem.conv1.weight" in message


def test_the_newest_of_several_tensorflow_checkpoints_is_the_folders(reader, tmp_path):
    for path in (DATA / "golden" / "ckpt_B_raw").iterdir():
        shutil.copy(path, tmp_path / path.name)
        if path.name != "checkpoint":
            for other in ("500", "100"):  # a name after the newest one's, and one before it
                shutil.copy(path, tmp_path / path.name.replace("1000", other))
    assert tensorflow.find_prefix(tmp_path).name == "model.ckpt-1000"


def test_of_a_training_checkpoint_the_averages_are_taken_and_all_else_is_accounted_for():
    stored = {
        "maxvit/a",
        "maxvit/a/ExponentialMovingAverage",
        "maxvit/a/adam_m",
        "maxvit/norm/moving_mean",  # an average itself
        "global_step",
    }
    chosen, note = tensorflow.choose(stored)
    assert chosen == {
        "maxvit/a": "maxvit/a/ExponentialMovingAverage",
        "maxvit/norm/moving_mean": "maxvit/norm/moving_mean",
    }
    assert note.startswith("1 moving averages, 1 raw variables, 3 left out")
    # a slot of what is there once, raw or as an average
    for name in ("maxvit/a", "maxvit/a/ExponentialMovingAverage"):
        assert tensorflow.choose({name, "maxvit/a/adam_m"})[0] == {"maxvit/a": name}
    # no slot, but values of an attention; a slot of nothing that is there stays, to be refused
    raw = {"maxvit/attention/v/weight", "maxvit/unknown/adam_m"}
    assert tensorflow.choose(raw)[0].keys() == raw


def test_averages_of_some_weights_and_raw_values_of_others_are_refused():
    stored = {"maxvit/a", "maxvit/a/ExponentialMovingAverage", "maxvit/b/kernel"}
    with pytest.raises(CheckpointError, match="1 variables have a moving average and 1 have none: maxvit/b"):
        tensorflow.choose(stored)


def test_an_unknown_variable_is_an_error(reader, monkeypatch, tmp_path):
    def read(prefix):
        found, note = original(prefix)
        return {**found, "maxvit/new/kernel": torch.ones(1)}, note

    original = tensorflow.read
    monkeypatch.setattr(tensorflow, "read", read)
    message = refusal(DATA / "golden" / "ckpt_B_raw", tmp_path / "ours.pth")
    assert "1 left over: maxvit/new/kernel" in message


def test_without_tensorflow_the_line_that_installs_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "tensorflow.train", None)
    message = refusal(DATA / "golden" / "ckpt_B_raw", tmp_path / "ours.pth")
    assert "pip install tensorflow-cpu" in message


def test_half_a_tensorflow_checkpoint_and_a_damaged_one_are_named(reader, tmp_path):
    whole = DATA / "golden" / "ckpt_B_raw" / "model.ckpt-1000"
    shutil.copy(f"{whole}.index", tmp_path)
    assert "data-00000-of-00001 is missing" in refusal(tmp_path, tmp_path / "ours.pth")
    (tmp_path / "model.ckpt-1000.data-00000-of-00001").write_bytes(b"cut short")
    assert "is damaged" in refusal(tmp_path, tmp_path / "ours.pth")
    (tmp_path / "other.index").write_bytes(b"")
    message = refusal(tmp_path, tmp_path / "ours.pth")
    assert f"holds 2 checkpoints; name one: {tmp_path / 'model.ckpt-1000'}.index" in message


def test_variables_that_are_no_floating_point_numbers_are_refused(monkeypatch, tmp_path):
    stored = {"maxvit/a": np.ones(1, "float16"), "maxvit/b": np.ones(1, "int32")}

    class Reader:
        get_variable_to_shape_map = staticmethod(lambda: stored)
        get_tensor = staticmethod(stored.get)

    monkeypatch.setattr(tensorflow, "import_reader", lambda: lambda prefix: Reader)
    for end in (".index", ".data-00000-of-00002", ".data-00001-of-00002"):
        (tmp_path / f"c{end}").touch()
    with pytest.raises(CheckpointError, match=r"of floating-point numbers: maxvit/b \(int32\)$"):
        tensorflow.read(tmp_path / "c")
    (tmp_path / "c.index").unlink()
    with pytest.raises(CheckpointError, match=r"c\.index is missing"):
        tensorflow.read(tmp_path / "c")


def test_a_tensor_made_of_several_waits_for_all_in_their_order():
    lines = Translation([Line("a.{i}", ("q.{i}", "k.{i}"), lambda q, k: torch.cat([q, k]))])
    q, k = torch.zeros(1), torch.ones(1)
    assert lines.to_ours({"k.3": k}) == ({}, ["q.3"], [])
    tensors, missing, left_over = lines.to_ours({"k.3": k, "q.3": q, "v.3": k})
    assert tensors["a.3"].tolist() == [0, 1]
    assert (missing, left_over) == ([], ["v.3"])
    with pytest.raises(KeyError):
        lines.find("b.3")


@pytest.mark.parametrize(
    ("stem", "convention"), [(24, "official"), (32, "official"), (64, "official"), (32, "torchvision")]
)
def test_whose_network_it_is_shows_in_its_first_shortcut(stem, convention):
    with torch.device("meta"):
        tensors = MaxViT({**SMALL, "stem_width": stem}, convention=convention).state_dict()
    assert convention_of(tensors) == convention


def test_of_a_state_dict_the_shapes_tell_whose_it_is_and_no_folder_tells_the_size(tmp_path):
    (tmp_path / "384").mkdir()
    source = tmp_path / "384" / "w.pth"
    torch.save(MaxViT({**SMALL, "stem_width": 32}, convention="torchvision").state_dict(), source)
    about = convert(source).weights.about
    assert (about["convention"], about["image_size"]) == ("torchvision", None)


def test_the_user_knows_the_size_better_than_a_folders_name(reader, tmp_path):
    folder = shutil.copytree(DATA / "golden" / "ckpt_B_raw", tmp_path / "384")
    assert convert(folder).weights.about["image_size"] == 384
    about = convert(folder, 224, "inception").weights.about
    assert (about["image_size"], about["normalization"], about["mean"]) == (224, "inception", [127.5] * 3)


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/384/i1k/model.ckpt", 384),
        ("/384/i1k/mine/model.ckpt", None),  # too far above the file to be its own
        ("/224/384/model.ckpt", 384),
        ("/i21k_224_i1k_512/model.ckpt", 512),
        ("/1224/model.ckpt", None),
    ],
)
def test_the_size_in_a_path_is_the_nearest_and_last(path, size):
    assert image_size_in(Path(path)) == size


def test_pixels_are_normalised_by_imagenets_statistics_or_onto_minus_one_to_one():
    mean, std = NORMALIZATIONS["imagenet"]
    assert mean == pytest.approx([255 * share for share in (0.485, 0.456, 0.406)])
    assert std == pytest.approx([255 * share for share in (0.229, 0.224, 0.225)])
    for mean, std in zip(*NORMALIZATIONS["inception"], strict=True):
        assert ((0 - mean) / std, (255 - mean) / std) == (-1, 1)


def architecture(name, classes, partition=7):
    return Architecture(VARIANTS[name], partition, "official", classes)


@pytest.mark.parametrize(
    ("path", "origin", "found", "size", "normalization"),
    [
        ("ckpts/maxvittiny/i1k/224", "tensorflow", architecture("tiny", 1000), 224, "imagenet"),
        ("ckpts/maxvittiny/i1k/384", "tensorflow", architecture("tiny", 1000), 384, "inception"),
        ("ckpts/maxvitbase/i21k_pt/224", "tensorflow", architecture("base", 21843), 224, "inception"),
        ("ckpts/maxvitlarge/i21k_i1k/512", "tensorflow", architecture("large", 1000), 512, "inception"),
        ("downloads/model.ckpt", "tensorflow", architecture("tiny", 1000), None, None),
        ("a.pth", "timm", architecture("small", 1000), 224, "imagenet"),
        ("a.pth", "timm", architecture("small", 1000, 12), 384, "inception"),
        ("a.pth", "timm", architecture("xlarge", 1000, 16), 512, "inception"),
        ("a.pth", "timm", architecture("base", None), 224, None),  # of ImageNet-1k, or of 21k
        ("a.pth", "torchvision", architecture("tiny", 1000), 224, "imagenet"),
        ("a.pth", "timm", architecture("tiny", None), 224, "imagenet"),
        ("a.pth", "timm", architecture("tiny", 7), 224, None),  # somebody's fine-tuning
        ("a.pth", "timm", architecture("pico", 1000), 224, None),
    ],
)
def test_size_and_normalisation_are_told_where_they_can_be(path, origin, found, size, normalization):
    told = image_size_of(found, origin) or (image_size_in(Path(path)) if origin == "tensorflow" else None)
    assert told == size
    assert normalization_of(found, size) == normalization


@pytest.mark.parametrize("table", [7, 12, 16])
@pytest.mark.parametrize("partition", [7, 12, 16, "scaled"])
def test_tables_of_every_release_load_for_every_partition(tmp_path, table, partition):
    model = randomise(MaxViTClassifier(SMALL, 3, table_partition_size=table))
    torch.save(model.state_dict(), tmp_path / "w.pth")
    backbone = MaxViT(
        SMALL, partition_size=partition, init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "w.pth"))
    )
    backbone.init_weights()
    kept = MaxViT(SMALL, partition_size=partition, table_partition_size=table)
    kept.load_state_dict({n: t for n, t in model.state_dict().items() if n.startswith("trunk.")})
    images = torch.randn(1, 3, 7 * 32, 7 * 32)
    with torch.no_grad():
        for found, exact in zip(backbone.eval()(images), kept.eval()(images), strict=True):
            # Tables stored for 7 lose what a larger one holds; read for 7, nothing more is lost.
            close = 1e-5 if table == 7 or partition in (7, "scaled") else 0.5
            assert (found - exact).abs().mean() < close * exact.abs().mean()


def test_a_network_among_other_tensors_is_found_and_the_rest_is_said(tmp_path, capsys):
    theirs = load_file(TIMM)
    state = {f"student.net.{name}": tensor for name, tensor in theirs.items()}
    torch.save({"state_dict": {**state, "loss.weight": torch.ones(3)}}, tmp_path / "w.pth")
    main([str(tmp_path / "w.pth"), str(tmp_path / "ours.pth"), "--normalization", "imagenet"])
    assert "what is below 'student.net.'; 1 other tensors were left out" in capsys.readouterr().out
    main([str(TIMM), str(tmp_path / "alone.pth"), "--normalization", "imagenet"])
    found, alone = (read_weights(str(tmp_path / f"{name}.pth")).tensors for name in ("ours", "alone"))
    assert found.keys() == alone.keys()
    assert all(found[name].equal(alone[name]) for name in alone)


def test_of_two_networks_neither_is_taken(tmp_path):
    theirs = load_file(TIMM)
    state = {f"{whose}.{name}": tensor for name, tensor in theirs.items() for whose in ("student", "teacher")}
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    assert "2 MaxViTs, below student., teacher.: keep one" in refusal(tmp_path / "w.pth", tmp_path / "o.pth")


def test_of_an_average_and_its_weights_below_one_name_each_the_average_is_taken_and_said(tmp_path, capsys):
    raw = load_file(TIMM)
    mean = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in raw.items()}
    state = {f"online_model.{name}": tensor for name, tensor in raw.items()}
    state |= {f"ema_model.{name}": tensor for name, tensor in mean.items()}
    torch.save(state, tmp_path / "w.pth")
    taken = {}
    for options in ((), ("--no-average",)):
        main([str(tmp_path / "w.pth"), str(tmp_path / "o.pth"), "--normalization", "imagenet", *options])
        taken[options] = read_weights(str(tmp_path / "o.pth")).tensors["trunk.stem.conv1.bias"]
    said = capsys.readouterr().out
    assert "the average, what is below 'ema_model.'" in said
    assert "the raw weights, what is below 'online_model.'" in said
    assert taken[()].equal(taken[("--no-average",)] + 1)


def test_the_average_of_a_training_is_taken_and_said(tmp_path, capsys):
    raw = load_file(TIMM)
    mean = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in raw.items()}
    torch.save({"state_dict": raw, "state_dict_ema": mean, "epoch": 3}, tmp_path / "w.pth")
    taken = {}
    for options in ((), ("--no-average",)):
        main([str(tmp_path / "w.pth"), str(tmp_path / "o.pth"), "--normalization", "imagenet", *options])
        taken[options] = read_weights(str(tmp_path / "o.pth")).tensors["trunk.stem.conv1.bias"]
    said = capsys.readouterr().out
    assert "(the average, 'state_dict_ema'" in said
    assert "(the raw weights, 'state_dict'" in said
    assert taken[()].equal(taken[("--no-average",)] + 1)
