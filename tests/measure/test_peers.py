import pytest
import torch

from maxvit_mm.measure.peers import CANDIDATES, CannotRunError, Work
from maxvit_mm.network.twins import Layer


def test_a_row_says_all_that_was_chosen():
    work = Work("forward", 4, 224, 448, "bf16", compiled=True, scaled=True, autocast=True)
    assert str(work) == "forward, 4 x 224 x 448, bf16 by autocast, compiled, P = image/32"


@pytest.mark.parametrize(
    ("name", "implementation"),
    [("maxvit_mm", "auto"), ("maxvit_mm, plain", "plain"), ("maxvit_mm, twins", "cpu")],
)
def test_ours_is_a_candidate_by_each_implementation(monkeypatch, name, implementation):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with torch.device("meta"):
        network = CANDIDATES[name](Work("forward", 1, 32, 32, "fp32", False, False))
    layers = [module for module in network.modules() if isinstance(module, Layer)]
    assert {layer.implementation for layer in layers} == {implementation}


@pytest.mark.parametrize(
    ("name", "kind"), [("maxvit_mm, deployed", "training step"), ("maxvit_mm, with_cp", "forward")]
)
def test_what_has_no_meaning_for_a_candidate_is_said(name, kind):
    with pytest.raises(CannotRunError):
        CANDIDATES[name](Work(kind, 1, 32, 32, "fp32", False, False))
