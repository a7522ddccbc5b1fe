"""SyncBN through the twins that keep less: two processes, with batches of their own, do what one does."""

import os
import socket
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from conftest import randomise
from torch import nn

from maxvit_mm.fast.cpu import narrow
from maxvit_mm.fast.gpu.branch import train as by_kernels
from maxvit_mm.network.mbconv import MBConv
from maxvit_mm.network.trunk import Stem
from maxvit_mm.network.twins import choose, set_implementation

SHARES = slice(0, 1), slice(1, 4)  # of four images, not alike
LAYERS = {
    "narrow": (lambda norm: MBConv(32, 32, 2, 0.0, norm=norm), 128, narrow.narrow, "MBConv.narrow"),
    "kernels": (lambda norm: MBConv(16, 16, 1, 0.0, norm=norm), 16, by_kernels, "MBConv.branch"),
    "stem": (lambda norm: Stem(16, norm=norm), 3, narrow.stem, "Stem.forward"),
}


def step(kind, norm, x, weights, training):
    """What comes out, gradients and statistics, of a layer with its norms of that class."""
    make, _, run, seam = LAYERS[kind]
    layer = randomise(make(lambda width: norm(width, eps=1e-3, momentum=0.1))).double().train(training)
    if run is by_kernels:
        layer.pre_norm = nn.Identity()  # PyTorch's own SyncBN is for GPUs
        layer, x, weights = layer.float(), x.float(), torch.as_tensor(weights).float()
    x = x.clone().requires_grad_()
    if run is not by_kernels:
        set_implementation(layer, "cpu")
        assert choose(seam, layer, x).run is run
    out = run(layer, x)
    (out * weights).sum().backward()
    gradients = {name: p.grad for name, p in layer.named_parameters() if p.grad is not None}
    return dict(out=out.detach(), x=x.grad), gradients, dict(layer.named_buffers())


def process(rank, kind, training, x, weights, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if Path("/sys/class/net/lo").exists():
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # else gloo asks the network for this machine's name
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.set_num_threads(1)
    here = SHARES[rank]
    found = step(kind, nn.SyncBatchNorm, x[here], weights[here], training)
    torch.save(found, f"{results}{rank}")
    while not all(Path(f"{results}{each}").exists() for each in range(2)):
        time.sleep(0.01)
    # PyTorch, at the end of a group, may wait for a thread of gloo that waits for Python.
    os._exit(0)


@pytest.mark.parametrize(
    ("kind", "training"), [("narrow", True), ("narrow", False), ("stem", True), ("kernels", True)]
)
def test_two_processes_do_what_one_does_with_all_images(kind, training, tmp_path):
    if kind == "kernels":
        pytest.importorskip("triton", "3.6", reason="kernels need Triton 3.6, which is for Linux")
        if torch.cuda.is_available():
            pytest.skip("of several processes, on a CPU by gloo in Triton's interpreter alone")
    size = (3, 4) if kind == "kernels" else (9, 12)  # the interpreter takes its time
    x = torch.randn(4, LAYERS[kind][1], *size, dtype=torch.float64)
    with torch.no_grad():
        shape = LAYERS[kind][0](nn.BatchNorm2d).double()
        shape = (shape.narrow if kind == "narrow" else shape)(x).shape
    weights = torch.randn(shape, dtype=torch.float64)
    expected, of_all, statistics = step(kind, nn.BatchNorm2d, x, weights, training)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(process, (kind, training, x, weights, port, tmp_path / "found"), nprocs=2)
    found = [torch.load(f"{tmp_path / 'found'}{rank}") for rank in range(2)]
    near = dict(rtol=1e-4, atol=1e-4) if kind == "kernels" else {}  # in fp32
    for name, wanted in expected.items():
        torch.testing.assert_close(torch.cat([each[0][name] for each in found]), wanted, **near)
    for name, wanted in of_all.items():
        torch.testing.assert_close(sum(each[1][name] for each in found), wanted, **near)
    for rank in range(2):
        for name, wanted in statistics.items():
            torch.testing.assert_close(found[rank][2][name], wanted, **near)


@pytest.mark.parametrize("kind", ["narrow", "stem"])
def test_of_one_process_it_is_batch_norm(kind):
    x = torch.randn(2, LAYERS[kind][1], 9, 12, dtype=torch.float64)
    found, expected = (step(kind, norm, x, 1.0, True) for norm in (nn.SyncBatchNorm, nn.BatchNorm2d))
    for one, other in zip(found, expected, strict=True):
        for name, wanted in other.items():
            torch.testing.assert_close(one[name], wanted)
