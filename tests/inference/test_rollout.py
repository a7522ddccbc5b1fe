"""Attention, rollout and gradients are those of the whole matrices and of finite differences."""

import cv2
import numpy as np
import pytest
import torch
from conftest import SMALL, randomise

from maxvit_mm.inference.attention import at_cells, watching
from maxvit_mm.inference.explaining import explain
from maxvit_mm.inference.faithfulness import faithfulness_of
from maxvit_mm.inference.gradients import area_of, following, grad_cam, receptive_field
from maxvit_mm.inference.looking import Looker
from maxvit_mm.inference.rollout import Layout, UnreachableError, check_whole, reach, rollout
from maxvit_mm.network import Trunk, find_convention, find_variant
from maxvit_mm.network.partition import Block, Grid
from maxvit_mm.network.relative_bias import resize_table
from maxvit_mm.openmmlab.own_config import config_of_checkpoint


def trunk_of(convention="official", partition_size=3):
    trunk = Trunk(find_variant(SMALL), partition_size, 3, convention=find_convention(convention))
    return randomise(trunk).eval().double().requires_grad_(False)


def seen_in(trunk, height, width):
    with torch.no_grad(), watching(trunk) as stages:
        trunk(torch.randn(1, 3, height, width).double())
    return stages


def group(kind, row, length, size):
    """The number of the group that a row is in, by the definition of windows and grids."""
    return row // size if kind is Block else row % -(-length // size)


def member(kind, row, length, size):
    """The place of a row within its group."""
    return row % size if kind is Block else row // -(-length // size)


def whole_matrix(attended):
    """`A` of each head, [heads, places, places], one pair of places at a time."""
    layer, (p, q) = attended.layer, attended.size
    _, height, width, channels = attended.qkv.shape
    d = channels // 3 // layer.heads
    table = resize_table(layer.relative_position_bias_table, (p, q))
    queries, keys, _ = attended.qkv.reshape(height, width, 3, layer.heads, d).unbind(2)
    places = [(y, x) for y in range(height) for x in range(width)]
    logits = torch.full((layer.heads, len(places), len(places)), -torch.inf).double()
    for i, (y, x) in enumerate(places):
        for j, (v, u) in enumerate(places):
            axes = ((y, v, height, p), (x, u, width, q))
            if all(group(layer.partition, a, n, s) == group(layer.partition, b, n, s) for a, b, n, s in axes):
                dy, dx = (
                    member(layer.partition, b, n, s) - member(layer.partition, a, n, s) for a, b, n, s in axes
                )
                products = (queries[y, x] * keys[v, u]).sum(-1) / d**0.5
                logits[:, i, j] = products + table[:, dy + p - 1, dx + q - 1]
    return logits.softmax(-1)


def every_place(height, width):
    return torch.eye(height * width).double().reshape(-1, height, width)


@pytest.mark.parametrize("size", [(64, 64), (77, 106)])  # maps of 8 x 8, and of 10 x 14, on partitions of 3
def test_attention_is_the_row_of_the_layers_matrix(size):
    trunk = trunk_of()
    for attended in seen_in(trunk, *size)[2][1][2:]:  # block and grid of two heads
        everywhere = every_place(*attended.qkv.shape[1:3])
        matrix = whole_matrix(attended)
        torch.testing.assert_close(attended.looks_at(everywhere).flatten(1), matrix.mean(0))
        for head in (0, 1):
            torch.testing.assert_close(attended.looks_at(everywhere, head).flatten(1), matrix[head])


@pytest.mark.parametrize("convention", ["official", "torchvision"])  # their averages have other borders
def test_rollout_is_the_product_of_all_matrices(convention):
    trunk = trunk_of(convention)
    stages = seen_in(trunk, 70, 90)[1:]  # maps of 9 x 12, 5 x 6 and 3 x 3
    assert [stage[-1].grid.qkv.shape[1:3] for stage in stages] == [(9, 12), (5, 6), (3, 3)]
    product = torch.eye(9 * 12).double()
    for i, block in enumerate(block for stage in stages for block in stage):
        if block.pool is not None and i > 0:
            averages = block.pool(every_place(*block.entered)[:, None]).flatten(1).T
            product = averages / averages.sum(1, keepdim=True) @ product
        for attended in (block.block, block.grid):
            whole = whole_matrix(attended).mean(0)
            product = (whole + torch.eye(len(whole))) / 2 @ product
    rolled = rollout(stages, every_place(3, 3)).flatten(1)
    torch.testing.assert_close(rolled, product)
    torch.testing.assert_close(rolled.sum(1), torch.ones(9).double())
    assert (rolled > 0).all()
    with torch.no_grad():
        assert torch.equal(rollout(stages, every_place(3, 3)).flatten(1), rolled)


def test_watching_leaves_nothing_behind_and_changes_nothing():
    trunk = trunk_of()
    images = torch.randn(1, 3, 64, 64).double()
    with torch.no_grad():
        before = trunk(images)
        with watching(trunk):
            during = trunk(images)
    assert all(map(torch.equal, before, during))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in trunk.modules())


def test_windows_without_a_grid_reach_no_whole_map_and_it_is_said():
    windows, grid = Layout(Block, (7, 7)), Layout(Grid, (7, 7))
    assert reach([windows, grid], 14, 21) == 1
    assert reach([windows] * 9, 14, 14) == 0.25
    with pytest.raises(
        UnreachableError, match="windows of 7x7 without a grid never reach the whole map of 14x14"
    ):
        check_whole([windows] * 9, 14, 14)
    check_whole([windows], 7, 5)  # a window that is the map
    # The eighth row is a window of its own, and in the second of two groups: the first never sees it.
    assert reach([windows, grid], 8, 7) == pytest.approx(1 - 4 / 64)
    assert reach([windows, grid] * 2, 8, 7) == 1


def test_the_receptive_field_is_what_a_changed_pixel_changes():
    trunk = trunk_of()
    images = torch.randn(1, 3, 45, 70).double()
    field = receptive_field(trunk, images, stage=1)
    weights = at_cells([(3, 4)], 6, 9).double()
    torch.testing.assert_close(receptive_field(trunk, images, 1, weights), field)  # the centre

    def value(changed):
        with torch.no_grad():
            return trunk(changed)[1][0, :, 3, 4].mean()

    for y, x in ((20, 33), (0, 69)):
        slopes = []
        for channel in range(3):
            step = torch.zeros_like(images)
            step[0, channel, y, x] = 1e-5
            slopes.append((value(images + step) - value(images - step)) / 2e-5)
        torch.testing.assert_close(field[y, x], torch.stack(slopes).abs().mean(), rtol=1e-4, atol=1e-9)
    assert area_of(0.6, torch.tensor([4.0, 1, 1, 1, 1])) == 0.4


def test_a_gradient_map_follows_later_stages_too():
    trunk = trunk_of()
    with following(trunk, 1) as maps:
        last = trunk(torch.randn(1, 3, 64, 64).double())[3]
    features, held = maps[0].detach(), 0
    for score in (last[0, :4].sum(), -last[0, :4].sum()):  # what lowers the one raises the other
        (gradient,) = torch.autograd.grad(score, maps[0], retain_graph=True)
        expected = torch.einsum("c,cyx->yx", gradient[0].mean((1, 2)), features[0]).relu()
        torch.testing.assert_close(grad_cam(score, maps[0]), expected)
        local = (gradient[0] * features[0]).sum(0).relu()
        torch.testing.assert_close(grad_cam(score, maps[0], whole_map=False), local)
        held += (expected > 0).sum()
    assert held > 32


def test_deletion_and_insertion_tell_a_right_map_from_a_wrong_one():
    image = np.full((20, 30, 3), 50, np.uint8)
    image[4:8, 6:12] = 250  # all that counts
    right = np.zeros((20, 30))
    right[4:8, 6:12] = 1

    def score_of(changed):
        return float((changed[4:8, 6:12] == 250).mean())

    good, bad = (faithfulness_of(each, image, score_of) for each in (right, -right))
    # Its 24 of 600 pixels are gone after 0.2 of 1 in the square of steps: between are the trapezia.
    assert good.deletion == pytest.approx(0.01 * (1 + 0.75) / 2 + 0.03 * 0.75 / 2)
    assert good.insertion == pytest.approx(1 - good.deletion)
    assert bad.deletion > 0.8
    assert bad.insertion < 0.2


@pytest.fixture(scope="module")
def looker(trained):
    """Of a detector that keeps few objects: after two steps it would find a hundred."""
    cfg = config_of_checkpoint(str(trained / "iter_2.pth"))
    cfg.model.test_cfg.rcnn.max_per_img = 3
    return Looker.from_checkpoint(trained / "iter_2.pth", cfg)


def test_an_objects_maps_look_from_the_cells_of_its_box(looker, shapes):
    image = cv2.imread(str(sorted((shapes / "val2017").glob("*.jpg"))[0]))
    looked = looker.look(image, 0.0)
    found = looked.found[0]._replace(box=(16.0, 32.0, 64.0, 80.0))
    seen = looked.stages[2][1].grid
    height, width = seen.qkv.shape[1:3]
    cells = [(row, column) for row in (2, 3, 4) for column in (1, 2, 3)]
    of_cells = [seen.looks_at(at_cells([cell], height, width))[0] for cell in cells]
    made = explain(looker, looked, found, ["grid", "stages"])
    np.testing.assert_allclose(made[0].values, torch.stack(of_cells).mean(0), rtol=1e-4, atol=1e-7)
    assert made[0].cell == (16, 16)
    assert made[1].cell == (4, 4)
    assert made[1].values.sum() == pytest.approx(1, rel=1e-4)
    alone = explain(looker, looked, (40.0, 56.0), ["grid"])[0]
    np.testing.assert_allclose(alone.values, of_cells[4], rtol=1e-4, atol=1e-7)


def test_a_gradient_map_is_of_the_objects_own_score(looker, shapes):
    """A step along the gradient of a stage's map raises that score by the gradient's square."""
    image = cv2.imread(str(sorted((shapes / "val2017").glob("*.jpg"))[0]))
    looked = looker.look(image, 0.0)
    found = looked.found[0]
    local = looker.gradient(looked, found, 2, whole_map=False)
    stage = looker.trunk.stages[2]
    shrunk = 2e-3  # small, since only the first order is compared

    def shrink(_, __, out):
        return out * (1 - shrunk)

    with following(looker.trunk, 2) as maps:
        score = looker.model.test_step(
            {"inputs": [looked.data["inputs"]], "data_samples": [looked.data["data_samples"]]}
        )[0].pred_instances.scores[0]
    (gradient,) = torch.autograd.grad(score, maps[0])
    torch.testing.assert_close(local, (gradient * maps[0].detach()).sum(1).relu()[0])
    handle = list(stage.children())[-1].register_forward_hook(shrink)
    lower = looker.look(image, 0.0).found[0]
    handle.remove()
    expected = shrunk * float((gradient * maps[0].detach()).sum())
    assert found.score - lower.score == pytest.approx(expected, rel=0.1)
