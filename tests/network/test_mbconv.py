import pytest
import torch

from maxvit_mm.network.mbconv import MBConv
from maxvit_mm.network.same_conv import SameConv2d


def test_an_even_size_is_padded_after_and_an_odd_one_on_both_sides():
    conv = SameConv2d(1, 1, stride=2, bias=False)
    torch.nn.init.ones_(conv.weight)
    ones = torch.ones(1, 1, 1, 4)
    # the height of 1 is odd: a row of padding above and below; windows 0-2 and 2-4, of which 4 is padding
    assert conv(ones).flatten().tolist() == [3, 2]
    # width 5: windows -1-1, 1-3, 3-5
    assert conv(torch.ones(1, 1, 1, 5)).flatten().tolist() == [2, 3, 2]


def test_the_shortcut_averages_only_what_is_there():
    pool = MBConv(32, 32, stride=2, drop=0.0).pool
    assert pool(torch.tensor([[[[1.0, 3.0, 5.0]]]])).flatten().tolist() == [2, 5]


@pytest.mark.parametrize(("inputs", "outputs", "has_one"), [(64, 64, False), (64, 96, True), (96, 64, True)])
def test_the_shortcut_has_a_convolution_only_where_widths_differ(inputs, outputs, has_one):
    names = dict(MBConv(inputs, outputs, stride=2, drop=0.0).named_parameters())
    assert ("shortcut.weight" in names) == has_one


def test_norms_have_the_official_epsilon_and_momentum():
    norm = MBConv(32, 32, stride=1, drop=0.0).pre_norm
    assert (norm.eps, norm.momentum) == (1e-3, pytest.approx(0.01))
