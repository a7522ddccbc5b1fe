import pytest
import torch
from torch import nn

from maxvit_mm.measure import timing
from maxvit_mm.measure.peers import CANDIDATES, Work, channels_last


class Spy(nn.Conv2d):
    """A network that remembers what it was given and what it made of it."""

    def __init__(self):
        super().__init__(3, 4, 3)

    def forward(self, images):
        self.images, self.out = images, super().forward(images)
        return self.out


@pytest.fixture
def spy(monkeypatch) -> Spy:
    """In the place of two candidates."""
    network = Spy()
    monkeypatch.setitem(CANDIDATES, "timm", lambda work: network)
    monkeypatch.setitem(CANDIDATES, "timm, channels-last", channels_last(lambda work: network))
    return network


def test_every_maxvit_of_others_is_a_candidate_in_both_layouts():
    assert {"timm", "torchvision", "vit-pytorch"} == {
        name.removesuffix(", channels-last") for name in timing.CHANNELS_LAST
    }
    assert {name.removesuffix(", channels-last") for name in timing.CHANNELS_LAST} <= CANDIDATES.keys()


@pytest.mark.parametrize("name", ["timm", "timm, channels-last"])
def test_in_channels_last_the_images_lie_as_the_weights_do(name, spy):
    """A convolution whose operands lie differently copies one of them first, at each call."""
    timing.prepare(name, Work("forward", 2, 8, 8, "fp32", False, False), "cpu")()
    expected = name == "timm, channels-last"
    for tensor in (spy.images, spy.weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last) == expected


@pytest.mark.parametrize(
    ("work", "weights", "out"),
    [
        (Work("forward", 1, 8, 8, "fp32", False, False), torch.float32, torch.float32),
        (Work("forward", 1, 8, 8, "bf16", False, False), torch.bfloat16, torch.bfloat16),
        (Work("forward", 1, 8, 8, "bf16", False, False, autocast=True), torch.float32, torch.bfloat16),
        (Work("training step", 1, 8, 8, "bf16", False, False), torch.float32, torch.bfloat16),
    ],
)
def test_the_network_is_cast_for_inference_unless_autocast_is_asked_for(work, weights, out, spy):
    timing.prepare("timm", work, "cpu")()
    assert (spy.weight.dtype, spy.out.dtype) == (weights, out)


def test_candidates_take_turns(monkeypatch):
    """So that a busy moment of the machine falls on all of them."""
    order = []

    def prepare(name, work, device):
        return lambda: order.append(name)

    monkeypatch.setattr(timing, "prepare", prepare)
    monkeypatch.setattr(timing, "matrix_rate", lambda kind, device: 1.0)
    timing.measure(Work("forward", 1, 64, 64, "fp32", False, False), ["a", "b"], "cpu", 3, memory=False)
    assert order[-6:] == ["a", "b"] * 3


def test_a_peer_may_fail_and_ours_may_not(monkeypatch):
    def prepare(name, work, device):
        raise RuntimeError("broken")

    monkeypatch.setattr(timing, "prepare", prepare)
    monkeypatch.setattr(timing, "matrix_rate", lambda kind, device: 1.0)
    work = Work("forward", 1, 64, 64, "fp32", False, False)
    assert timing.measure(work, ["timm"], "cpu", 1, memory=False).seconds == {"timm": None}
    with pytest.raises(RuntimeError, match="broken"):
        timing.measure(work, ["maxvit_mm"], "cpu", 1, memory=False)


def test_on_a_gpu_its_own_clock_is_read_once_it_is_done(monkeypatch):
    did = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            did.append("record")

        def synchronize(self):
            did.append("synchronize")

        def elapsed_time(self, ended):
            return 2500.0  # milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)
    assert timing.seconds_of(lambda: did.append("run"), "cuda") == 2.5
    assert did == ["record", "run", "record", "synchronize"]


@pytest.mark.parametrize("kind", ["fp32", "bf16"])
def test_the_matrix_products_rate_is_measured(kind):
    assert timing.matrix_rate(timing.DTYPES[kind], "cpu", side=64) > 1e6
