import torch

from maxvit_mm.network.stochastic_depth import StochasticDepth


def test_a_sample_is_dropped_whole_or_scaled_up_to_the_same_mean():
    branch = torch.ones(20_000, 2, 3)
    out = StochasticDepth(0.25).train()(branch)
    dropped = (out == 0).all((1, 2))
    assert ((out == 0) == dropped[:, None, None]).all()
    assert out[~dropped].allclose(torch.tensor(1 / 0.75))
    assert abs(dropped.float().mean() - 0.25) < 0.02


def test_evaluation_and_a_rate_of_zero_drop_nothing():
    branch = torch.randn(4, 5)
    assert StochasticDepth(0.9).eval()(branch) is branch
    assert StochasticDepth(0.0).train()(branch) is branch
