import pytest
import torch
from conftest import randomise
from reference import block_groups, grid_groups

from maxvit_mm.network.attention import PartitionAttention, attention
from maxvit_mm.network.partition import Block, Grid, over_groups
from maxvit_mm.network.places import cut, join

LENGTHS = [*range(1, 30), 49, 50]


def members(partition, height, width, size):
    """The tokens of each group, as sets of (row, column)."""
    places = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), -1)
    found = []

    def note(groups, h, w):
        assert groups.shape[1:] == (h * w, 2)
        found.extend(tuple(map(tuple, group.tolist())) for group in groups)
        return groups

    back = over_groups(note, places[None], partition, size)
    assert back[0].equal(places)  # the way back is the way there
    return found


@pytest.mark.parametrize(("partition", "groups"), [(Block, block_groups), (Grid, grid_groups)])
@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_a_group_holds_the_rows_that_the_definition_names(partition, groups, size):
    for length in LENGTHS:
        expected = {tuple((row, 0) for row in rows) for rows in groups(length, size)}
        assert set(members(partition, length, 1, (size, 1))) == expected
        expected = {tuple((0, column) for column in columns) for columns in groups(length, size)}
        assert set(members(partition, 1, length, (1, size))) == expected


@pytest.mark.parametrize(("partition", "groups"), [(Block, block_groups), (Grid, grid_groups)])
@pytest.mark.parametrize("shape", [(14, 21), (15, 23), (6, 25), (3, 2)])
def test_a_map_falls_into_every_pair_of_rows_and_columns(partition, groups, shape):
    expected = {
        tuple((row, column) for row in rows for column in columns)
        for rows in groups(shape[0], 7)
        for columns in groups(shape[1], 5)
    }
    found = members(partition, *shape, (7, 5))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_a_grid_group_spans_the_whole_width():
    (first, *_) = members(Grid, 1, 14, (1, 7))
    assert [column for _, column in first] == [0, 2, 4, 6, 8, 10, 12]


def test_a_size_that_divides_is_cut_in_one_piece():
    calls = []
    for partition in (Block, Grid):
        over_groups(lambda g, h, w: calls.append((h, w)) or g, torch.zeros(1, 14, 21, 4), partition, (7, 7))
    assert calls == [(7, 7), (7, 7)]


def test_a_group_holds_tokens_of_the_map_and_each_token_is_in_one_group():
    places = torch.arange(1.0, 9 * 11 + 1).view(1, 9, 11, 1)
    for partition in (Block, Grid):
        seen: list = []
        over_groups(lambda g, h, w, into=seen: into.append(g.flatten()) or g, places, partition, (7, 7))
        assert torch.cat(seen).sort().values.equal(places.flatten())  # no pad among them


@pytest.mark.parametrize("partition", [Block, Grid])
@pytest.mark.parametrize("shape", [(14, 14), (9, 17), (3, 8), (1, 7)])
def test_groups_of_places_attend_as_groups_of_tokens_do(partition, shape):
    layer = randomise(PartitionAttention(64, partition, 7))
    qkv = torch.randn(2, *shape, 192)
    with torch.no_grad():
        expected = PartitionAttention.attend.plain(layer, qkv, (7, 7))
        groups, there = cut(qkv, partition is Grid, 7, 7)
        table = layer.relative_position_bias_table
        found = join(attention(table, groups, 7, 7, there), qkv, partition is Grid, 7, 7)
    torch.testing.assert_close(found, expected)
