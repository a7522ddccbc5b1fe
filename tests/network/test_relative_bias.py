import torch
from reference import resized

from maxvit_mm.network.relative_bias import relative_bias, resize_table


def test_the_bias_of_a_pair_is_read_at_key_minus_query():
    table = torch.randn(2, 13, 9)  # partition 7 x 5
    bias = relative_bias(table, 7, 5)
    for query in range(35):
        for key in range(35):
            dy, dx = key // 5 - query // 5, key % 5 - query % 5
            assert bias[:, query, key].equal(table[:, dy + 6, dx + 4])


def test_a_smaller_group_reads_the_same_offsets():
    table = torch.randn(1, 13, 13)
    small, full = relative_bias(table, 3, 2), relative_bias(table, 7, 7)
    tokens = [7 * row + column for row in range(3) for column in range(2)]
    assert small.equal(full[:, tokens][:, :, tokens])


def test_a_table_for_another_partition_is_read_bilinearly():
    table = torch.randn(3, 13, 13)
    for size in [(12, 12), (5, 9), (16, 3)]:
        torch.testing.assert_close(resize_table(table, size), resized(table, size))
    assert resize_table(table, (7, 7)) is table


def test_every_offset_of_the_table_gets_a_gradient():
    table = torch.zeros(1, 13, 13, requires_grad=True)
    relative_bias(table, 7, 7).sum().backward()
    rows = 7 - (torch.arange(13) - 6).abs()  # how many pairs of rows are that far apart
    assert table.grad[0].equal((rows[:, None] * rows).float())
