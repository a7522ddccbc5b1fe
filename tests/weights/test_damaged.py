"""Files of weights, damaged byte by byte and tensor by tensor, are loaded whole or refused in words.

Hypothesis makes the damages, always the same ones. What it found stands as an example.
"""

import json

import pytest
import torch
from conftest import SMALL, about_weights, randomise
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from maxvit_mm import MaxViT
from maxvit_mm.weights import (
    CheckpointError,
    Weights,
    check_detector,
    convert,
    load_detector,
    read_weights,
    write_weights,
)

TENSORS = {
    "a.weight": torch.arange(12.0).view(3, 4) / 7,
    "a.bias": torch.arange(5.0),
    "a.counter": torch.tensor(3),
    "a.low": torch.full((2, 2), 0.5, dtype=torch.float16),
}


class Detector(torch.nn.Module):
    """Something with the tensors of the file."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Module()
        for name, tensor in TENSORS.items():
            self.a.register_buffer(name.removeprefix("a."), torch.zeros_like(tensor))


def write(path, kind):
    """A file as PyTorch, its older versions, safetensors, or we write it."""
    about = about_weights()
    checkpoint = {"state_dict": TENSORS, "meta": {"maxvit_mm": about, "epoch": 3}}
    if kind == "zip":
        torch.save(checkpoint, path / "w.pth")
        return path / "w.pth"
    if kind == "legacy":
        torch.save(checkpoint, path / "w.pth", _use_new_zipfile_serialization=False)
        return path / "w.pth"
    if kind == "safetensors":
        save_file(TENSORS, path / "w.safetensors", {"maxvit_mm": json.dumps(about)})
    else:
        write_weights(path / "w.safetensors", Weights(TENSORS, about))
    return path / "w.safetensors"


def same(found, wanted=TENSORS):
    return found.keys() == wanted.keys() and all(
        found[name].dtype == wanted[name].dtype and found[name].equal(wanted[name]) for name in wanted
    )


places = st.integers(0, 10_000)
damages = st.one_of(
    st.tuples(st.just("set"), places, st.integers(0, 255)),
    st.tuples(st.just("flip"), places, st.integers(0, 7)),
    st.tuples(st.just("cut"), places, st.sampled_from([1, 4, 64, 100_000])),
    st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=8)),
)


def damaged(data, changes):
    data = bytearray(data)
    for kind, place, value in changes:
        place %= max(1, len(data))
        if kind == "insert":
            data[place:place] = value
        elif kind == "cut":
            del data[place : place + value]
        elif data:
            data[place] = value if kind == "set" else data[place] ^ (1 << value)
    return bytes(data)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "ours"])
@settings(max_examples=120)
@given(changes=st.lists(damages, min_size=1, max_size=3))
def test_a_file_with_damaged_bytes_is_loaded_whole_or_refused(kind, changes, tmp_path):
    path = write(tmp_path, kind)
    before = path.read_bytes()
    path.write_bytes(damaged(before, changes))
    try:
        found, _, _ = read_weights(str(path))
    except CheckpointError:
        pass
    else:
        assert found
        # What has checksums is loaded as it was written, or not at all.
        assert same(found) or kind in ("legacy", "safetensors")
    detector = Detector()
    try:
        load_detector(detector, str(path))
    except CheckpointError:
        assert not any(tensor.any() for tensor in detector.state_dict().values())  # nothing was loaded
    else:
        state = detector.state_dict()
        assert all(tensor.isfinite().all() for tensor in state.values())
        assert same(state) or kind in ("legacy", "safetensors")


def odd_tensors():
    """What may stand in a tensor's place, and whether it still is that tensor."""
    wanted = TENSORS["a.weight"]
    return {
        "transposed": (wanted.T.contiguous().T, True),
        "a view of more": (torch.cat([wanted, wanted])[:3], True),
        "a parameter": (torch.nn.Parameter(wanted), True),
        "double": (wanted.double(), True),
        "half": (wanted.half(), True),
        "of another shape": (wanted.T.contiguous(), False),
        "flat": (wanted.flatten(), False),
        "empty": (wanted[:0], False),
        "a number": (torch.tensor(1.0), False),
        "of integers": (wanted.long(), False),
        "of booleans": (wanted.bool(), False),
        "complex": (wanted.cfloat(), False),
        "not finite": (wanted / 0, False),
        "on no device": (wanted.to("meta"), False),
        "sparse": (wanted.to_sparse(), False),
        "compressed": (wanted.to_sparse_csr(), False),
        "quantised": (torch.quantize_per_tensor(wanted, 0.1, 0, torch.qint8), False),
        "float8": (wanted.to(torch.float8_e4m3fn), True),
        "an array": (wanted.numpy(), False),
        "a list": (wanted.tolist(), False),
        "nothing": (None, False),
        "text": ("a.weight", False),
    }


# PyTorch's old files cannot hold a float8.
WRITTEN = [
    (odd, legacy) for odd in odd_tensors() for legacy in (False, True) if (odd, legacy) != ("float8", True)
]


@pytest.mark.parametrize(("odd", "legacy"), WRITTEN)
@pytest.mark.filterwarnings("ignore")  # PyTorch's own, of what it will not have one day
def test_a_file_with_an_odd_tensor_is_loaded_whole_or_refused(odd, legacy, tmp_path):
    value, fits = odd_tensors()[odd]
    state = {**TENSORS, "a.weight": value}
    torch.save({"state_dict": state}, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    detector = Detector()
    if fits:
        load_detector(detector, str(tmp_path / "w.pth"))
        torch.testing.assert_close(detector.state_dict()["a.weight"], TENSORS["a.weight"], atol=0.1, rtol=0.1)
        return
    with pytest.raises(CheckpointError):
        load_detector(detector, str(tmp_path / "w.pth"))
    with pytest.raises(CheckpointError):  # as MMEngine reads a file that it resumes
        check_detector(detector, {"state_dict": state}, "w.pth")
    assert not any(tensor.any() for tensor in detector.state_dict().values())


NETWORK = randomise(MaxViT(arch=SMALL), seed=1).state_dict()
kinds = st.sampled_from(
    ["missing", "twice", "renamed", "shape", "integers", "not finite", "stranger", "empty"]
)


def change(state, kind, number):
    name = sorted(state)[number % len(state)]
    if kind == "missing":
        del state[name]
    elif kind == "twice":
        state[f"other.{name}"] = state[name]
    elif kind == "renamed":
        state[f"{name}s"] = state.pop(name)
    elif kind == "shape":
        state[name] = state[name][None]
    elif kind == "integers":
        state[name] = state[name].long()
    elif kind == "not finite":
        state[name] = torch.full_like(state[name], torch.nan if state[name].is_floating_point() else 0)
    elif kind == "stranger":
        state[f"head.{name}"] = torch.ones(number % 5)
    else:
        state[name] = state[name].flatten()[:0]


@settings(max_examples=12)
@given(changes=st.lists(st.tuples(kinds, st.integers(0, 9999)), min_size=1, max_size=3))
def test_a_network_with_changed_tensors_is_converted_whole_or_refused(changes, tmp_path):
    state = dict(NETWORK)
    for kind, number in changes:
        change(state, kind, number)
    torch.save(state, tmp_path / "w.pth")
    try:
        converted = convert(tmp_path / "w.pth")
    except CheckpointError:
        return
    found = converted.weights.tensors
    assert found.keys() == NETWORK.keys()
    counters = [name for name in NETWORK if not NETWORK[name].is_floating_point()]
    assert all(found[name].equal(NETWORK[name]) for name in NETWORK if name not in counters)
