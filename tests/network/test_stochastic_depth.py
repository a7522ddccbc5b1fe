import torch

from maxvit_mm.network.stochastic_depth import StochasticDepth


def test_a_sample_is_dropped_whole_or_scaled_up_to_the_same_mean():
    factors = StochasticDepth(0.25).train().draw(torch.empty(20_000, 2, 3))
    assert factors.shape == (20_000, 1, 1)
    dropped = factors == 0
    assert factors[~dropped].allclose(torch.tensor(1 / 0.75))
    assert abs(dropped.float().mean() - 0.25) < 0.02


def test_evaluation_drops_nothing():
    assert StochasticDepth(0.9).eval().draw(torch.randn(4, 5)) is None
