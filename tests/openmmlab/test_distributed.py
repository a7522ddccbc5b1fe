"""Two processes on the CPU do what one does."""

import gc
import json
import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from conftest import SMALL, randomise
from kills import end, evaluate, start
from torch.nn.parallel import DistributedDataParallel

from maxvit_mm import MaxViT
from maxvit_mm.data.shapes import make_shapes


def step(backbone, images, share=1.0):
    """`share`: of the images of all processes, as a fraction of an equal one."""
    backbone.zero_grad()
    (share * sum(out.square().mean() for out in backbone(images))).backward()


def process(rank, arguments, images, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    if Path("/sys/class/net/lo").exists():
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # else gloo asks the network for this machine's name
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.set_num_threads(1)
    backbone = randomise(MaxViT(arch=SMALL, **arguments)).train()
    parallel = DistributedDataParallel(backbone)
    for _ in range(2):  # an unused parameter would be noticed in the second
        mine = images[rank::2]
        step(parallel, mine, 2 * len(mine) / len(images))
    if rank == 0:
        gradients = {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}
        torch.save(gradients, results)
    # Were the group to end with the last that holds it, Python would wait for a thread that waits for Python.
    del parallel
    gc.collect()
    dist.destroy_process_group()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("count", [4, 3], ids=["even", "uneven"])
@pytest.mark.parametrize(
    "arguments",
    [
        dict(norm_eval=True),
        dict(norm_eval=True, out_indices=(1, 2), frozen_stages=2, with_cp=True),
    ],
    ids=["all", "frozen, two outputs, checkpointed"],
)
def test_two_processes_give_the_gradients_of_one(arguments, count, tmp_path):
    images = torch.randn(count, 3, 65, 97)
    mp.spawn(process, (arguments, images, free_port(), tmp_path / "gradients.pth"), nprocs=2)
    backbone = randomise(MaxViT(arch=SMALL, **arguments)).train()
    step(backbone, images)
    expected = {n: p.grad for n, p in backbone.named_parameters() if p.grad is not None}
    found = torch.load(tmp_path / "gradients.pth")
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("images", [3, 4, 5])
def test_two_processes_find_the_ap_of_one_to_the_digit(images, tmp_path):
    data = make_shapes(tmp_path / "shapes", train=1, val=images)
    for processes in (1, 2):
        out = tmp_path / f"{processes}.json"
        assert set(end(start(evaluate, data, out, processes, log=tmp_path / "log", processes=processes))) == {
            0
        }
    alone, together = (json.loads((tmp_path / f"{n}.json").read_text()) for n in (1, 2))
    assert together == alone
    assert 0.1 < alone["coco/bbox_mAP"] < 0.9  # a number that one image more or less would change
    assert 0.1 < alone["coco/segm_mAP"] < 0.9
