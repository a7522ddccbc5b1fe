import logging
import os
import pickle
import resource
import signal
from collections import OrderedDict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from conftest import FILES, SMALL, about_weights, randomise
from mmengine.logging import HistoryBuffer
from mmengine.model import PretrainedInit
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

from maxvit_mm import MaxViT
from maxvit_mm.openmmlab import backbone
from maxvit_mm.weights import CheckpointError, Weights, loading, read_weights, write_weights

BEFORE_1_6 = dict(_use_new_zipfile_serialization=False)  # as PyTorch wrote before 1.6


@pytest.fixture
def weights():
    return randomise(MaxViT(arch=SMALL), seed=1).state_dict()


def pretrained(path, **arguments):
    backbone = MaxViT(arch=SMALL, init_cfg=dict(type="Pretrained", checkpoint=str(path)), **arguments)
    backbone.init_weights()
    return backbone


def test_every_tensor_is_loaded(weights, tmp_path, caplog):
    torch.save({"state_dict": weights, "meta": {}}, tmp_path / "w.pth")
    loaded = pretrained(tmp_path / "w.pth").state_dict()
    assert all(loaded[name].equal(weights[name]) for name in weights)


def test_stages_without_an_output_and_the_head_may_be_left_over(weights, tmp_path):
    torch.save({**weights, "head.fc.weight": torch.zeros(3, 3)}, tmp_path / "w.pth")
    loaded = pretrained(tmp_path / "w.pth", out_indices=(0, 1), frozen_stages=1).state_dict()
    assert all(loaded[name].equal(weights[name]) for name in loaded)


def test_a_backbone_is_taken_out_of_a_detector(weights, tmp_path):
    detector = {f"backbone.{name}": tensor for name, tensor in weights.items()}
    torch.save({"state_dict": {**detector, "neck.w": torch.zeros(1)}}, tmp_path / "d.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "d.pth"), prefix="backbone.")
    backbone = MaxViT(arch=SMALL, init_cfg=init_cfg)
    backbone.init_weights()
    assert all(tensor.equal(weights[name]) for name, tensor in backbone.state_dict().items())


def damage(weights, kind):
    name = "trunk.stages.1.0.mbconv.shrink.weight"
    if kind == "missing":
        del weights[name]
    elif kind == "left over":
        name = "trunk.stages.1.0.mbconv.shrinc.weight"
        weights[name] = torch.zeros(1)
    elif kind == "of another shape":
        weights[name] = weights[name][1:]
    else:
        weights[name] = torch.full_like(weights[name], torch.nan)
    return name


@pytest.mark.parametrize("kind", ["missing", "left over", "of another shape", "not finite"])
def test_one_wrong_tensor_stops_the_start_and_is_named(weights, tmp_path, kind):
    name = damage(weights, kind)
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=f"nothing was loaded:\n  1 {kind}: {name}"):
        pretrained(tmp_path / "w.pth")


@pytest.mark.parametrize("reshape", [lambda table: table[None], lambda table: table.flatten(1)])
def test_a_table_of_other_dimensions_is_not_resized(weights, tmp_path, reshape):
    name = "trunk.stages.1.0.grid_attention.attention.relative_position_bias_table"
    torch.save({**weights, name: reshape(weights[name])}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=f"1 of another shape: {name}"):
        pretrained(tmp_path / "w.pth")


def test_a_long_list_of_names_is_cut_and_counted():
    assert loading.shorten(["a", "b", "c"], 3) == "a, b, c"
    assert loading.shorten(["a", "b", "c", "d", "e"], 3) == "a, b, c and 2 more"
    assert loading.shorten([*"abcdefghij"]) == "a, b, c, d, e, f, g, h and 2 more"


def test_other_implementations_and_whole_detectors_are_recognised(weights, tmp_path):
    data = FILES
    for origin in ("timm", "torchvision"):
        with pytest.raises(
            CheckpointError, match=rf"checkpoint of {origin} .*: convert it first, with `python"
        ):
            pretrained(data / f"{origin}.safetensors")
    torch.save({f"backbone.{name}": tensor for name, tensor in weights.items()}, tmp_path / "d.pth")
    with pytest.raises(CheckpointError, match=r"is a whole detector: .*prefix='backbone\.'"):
        pretrained(tmp_path / "d.pth")


def test_weights_of_another_function_are_refused(weights, tmp_path):
    write_weights(tmp_path / "w.pth", Weights(weights, about_weights(convention="torchvision")))
    with pytest.raises(CheckpointError, match="set convention='torchvision' of the backbone"):
        pretrained(tmp_path / "w.pth")


def test_what_was_loaded_and_resized_is_logged(weights, tmp_path, monkeypatch):
    lines = []
    for module in (loading, backbone):
        monkeypatch.setattr(module, "print_log", lambda line, *how: lines.append(line))
    torch.save(weights, tmp_path / "w.pth")
    larger = pretrained(tmp_path / "w.pth", table_partition_size=12)
    said = "\n".join(lines)
    assert f"loaded {len(weights)} of {len(weights)} tensors from {tmp_path / 'w.pth'}" in said
    assert "resized 10 relative-position tables bilinearly, from 13x13 to 23x23" in said
    assert "would keep them" not in said  # nothing is lost
    name = "trunk.stages.0.0.block_attention.attention.relative_position_bias_table"
    expected = torch.nn.functional.interpolate(weights[name][None], (23, 23), mode="bilinear")[0]
    assert larger.state_dict()[name].equal(expected)


@pytest.mark.parametrize("init_cfg", [dict(type=PretrainedInit), [dict(type="Pretrained")]])
def test_there_is_no_way_around_a_complete_load(weights, tmp_path, init_cfg):
    damage(weights, "missing")
    torch.save(weights, tmp_path / "w.pth")
    for cfg in init_cfg if isinstance(init_cfg, list) else [init_cfg]:
        cfg["checkpoint"] = str(tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"nothing was loaded|in a list"):
        MaxViT(arch=SMALL, init_cfg=init_cfg).init_weights()


def test_larger_tables_that_would_lose_detail_are_warned_of(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(loading, "print_log", lambda line, logger, level: lines.append((line, level)))
    torch.save(randomise(MaxViT(SMALL, table_partition_size=12)).state_dict(), tmp_path / "w.pth")
    pretrained(tmp_path / "w.pth", partition_size=12)
    assert lines[0][1] == logging.WARNING
    assert "from 23x23 to 13x13; table_partition_size=12 of the backbone would keep them" in lines[0][0]


@pytest.mark.parametrize(
    "about",
    [["x"], dict(convention="official"), about_weights(image_size="big"), about_weights(mean=127.5)],
)
def test_metadata_that_we_did_not_write_are_refused(weights, tmp_path, about):
    torch.save({"state_dict": weights, "meta": {"maxvit_mm": about}}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="has damaged metadata"):
        read_weights(str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"model": weights},
        lambda weights: {f"module.{name}": tensor for name, tensor in weights.items()},
        lambda weights: {"state_dict": {f"_orig_mod.{name}": tensor for name, tensor in weights.items()}},
    ],
)
def test_other_wrappings_of_a_state_dict_are_read(weights, tmp_path, wrap):
    torch.save(wrap(weights), tmp_path / "w.pth")
    assert read_weights(str(tmp_path / "w.pth")).tensors.keys() == weights.keys()


def test_names_of_which_some_begin_as_a_wrappers_are_kept(tmp_path):
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "w.pth")
    assert read_weights(str(tmp_path / "w.pth")).tensors.keys() == {"module.a", "b"}


@pytest.mark.parametrize("save", [save_file, torch.save, partial(torch.save, **BEFORE_1_6)])
@pytest.mark.parametrize("name", ["w.bin", "w.pth.tar"])
def test_a_checkpoint_is_known_under_any_name(weights, tmp_path, name, save):
    save(weights, tmp_path / name)
    assert all(t.equal(weights[n]) for n, t in read_weights(str(tmp_path / name)).tensors.items())


def test_a_tensorflow_checkpoint_in_a_config_is_recognised():
    folder = FILES / "golden" / "ckpt_B_raw"
    for path in (folder, folder / "model.ckpt-1000", folder / "model.ckpt-1000.index"):
        with pytest.raises(CheckpointError, match="is a TensorFlow checkpoint: convert it first"):
            pretrained(path)


def test_a_full_disk_leaves_the_old_file(weights, tmp_path):
    """PyTorch's own error, from a limit on the size of files as of a disk."""
    (tmp_path / "w.pth").write_text("the old one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        for suffix in (".pth", ".safetensors"):
            with pytest.raises(CheckpointError, match=r"could not be written \(is the disk full"):
                write_weights(tmp_path / f"w{suffix}", Weights(weights, {}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]
    assert (tmp_path / "w.pth").read_text() == "the old one"


@pytest.mark.parametrize("umask", [0o027, 0o002])
def test_a_file_may_be_read_by_whom_the_umask_lets(weights, tmp_path, umask):
    before = os.umask(umask)
    try:
        write_weights(tmp_path / "w.pth", Weights(weights, {}))
        assert os.umask(umask) == umask  # and that stays
    finally:
        os.umask(before)
    assert (tmp_path / "w.pth").stat().st_mode & 0o777 == 0o666 & ~umask


def test_mmengines_own_log_is_read_back(tmp_path):
    history = HistoryBuffer()
    history.update(0.5)
    history.update(0.25)
    hub = {"log_scalars": OrderedDict(loss=history), "runtime_info": {"best": np.float64(0.5)}}
    torch.save({"message_hub": hub}, tmp_path / "c.pth")
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"))["message_hub"]
    assert loaded["log_scalars"]["loss"].mean() == 0.375
    assert loaded["log_scalars"]["loss"].statistics("min") == 0.25
    assert loaded["runtime_info"]["best"] == 0.5


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Reaches:
    """getattr(HistoryBuffer, '__init__'), the first step to everything."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, "__init__")


@pytest.mark.parametrize("wrap", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))])
def test_a_checkpoint_that_wants_to_run_code_runs_none(tmp_path, wrap):
    wrap({"state_dict": {}, "meta": RunsCode(tmp_path / "ran")}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match=r"could run code: .* says: .*[Uu]nsupported") as caught:
        CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"))
    assert not (tmp_path / "ran").exists()
    for advice in ("weights_only", "Please use", "safe_globals"):  # to load it all the same
        assert advice not in str(caught.value)


def test_a_checkpoint_cannot_reach_beyond_mmengines_statistics(tmp_path):
    torch.save({"meta": Reaches()}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match="was not loaded"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"))


def test_a_checkpoint_from_the_web_runs_no_code_either(tmp_path, monkeypatch):
    """MMEngine fetches it by other code than a local one."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # a widespread remedy
    good, evil = tmp_path / "good.pth", tmp_path / "evil.pth"
    torch.save({"state_dict": {"a": torch.ones(2)}}, good)
    torch.save({"state_dict": RunsCode(tmp_path / "ran")}, evil)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert read_weights(f"{address}/good.pth").tensors["a"].tolist() == [1, 1]
        with pytest.raises(CheckpointError, match="could run code: it was not loaded"):
            read_weights(f"{address}/evil.pth")
        server.shutdown()
    assert not (tmp_path / "ran").exists()
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"  # the user's shell stays as it was
    assert read_weights(str(good)).tensors["a"].tolist() == [1, 1]


def test_a_config_in_a_checkpoint_is_not_executed(tmp_path):
    torch.save({"meta": {"config": "import os", "epoch": 1}}, tmp_path / "c.pth")
    assert CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"))["meta"] == {"epoch": 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no checkpoint"),
        (b"", "is empty: the download or copy did not finish"),
        (b"\n<!DOCTYPE html><html>not found</html>", "is a web page"),
        (
            b"PK\x03\x04 and then the line went dead",
            r"is damaged or no PyTorch checkpoint \(its end is missing",
        ),
        (b"a letter\n\tto a friend", "is a text file and no checkpoint"),
        (b"Dear friend", "is a text file and no checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_called_what_it_is(tmp_path, content, words):
    path = tmp_path / "c.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        CheckpointLoader.load_checkpoint(str(path))
    assert "weights_only" not in str(caught.value)  # no advice to load unsafely


def test_a_truncated_checkpoint_and_a_folder_are_called_what_they_are(weights, tmp_path):
    torch.save(weights, tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "w.pth"))
    with pytest.raises(CheckpointError, match="is a folder"):
        CheckpointLoader.load_checkpoint(str(tmp_path))


@pytest.mark.parametrize("state", [{"epoch": 3}, {3: torch.ones(1)}, [torch.ones(1)]])
def test_what_maps_no_names_to_tensors_is_no_state_dict(tmp_path, state):
    torch.save({"state_dict": state}, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match="no state dict"):
        pretrained(tmp_path / "c.pth")


def test_pretrained_weights_stand_alone():
    init_cfg = [
        dict(type="Pretrained", checkpoint="w.pth"),
        dict(type="TruncNormal", layer="Linear"),
    ]
    with pytest.raises(ValueError, match="not in a list"):
        MaxViT(arch=SMALL, init_cfg=init_cfg).init_weights()


def test_another_init_cfg_is_mmengines():
    backbone = MaxViT(arch=SMALL, init_cfg=dict(type="Constant", layer="Linear", val=0.125))
    backbone.init_weights()
    assert (backbone.trunk.stages[0][0].block_attention.ffn[0].weight == 0.125).all()
