import pytest

from maxvit_mm.measure.peers import CANDIDATES, CannotRunError, Work


def test_a_row_says_all_that_was_chosen():
    work = Work("forward", 4, 224, 448, "bf16", compiled=True, scaled=True, autocast=True)
    assert str(work) == "forward, 4 x 224 x 448, bf16 by autocast, compiled, P = image/32"


def test_the_plain_network_is_a_candidate_of_its_own():
    network = CANDIDATES["maxvit_mm, plain"](Work("forward", 1, 32, 32, "fp32", False, False))
    assert (
        network.trunk.state_dict().keys()
        == CANDIDATES["maxvit_mm"](Work("forward", 1, 32, 32, "fp32", False, False)).trunk.state_dict().keys()
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("maxvit_mm, deployed", "training step"), ("maxvit_mm, with_cp", "forward")]
)
def test_what_has_no_meaning_for_a_candidate_is_said(name, kind):
    with pytest.raises(CannotRunError):
        CANDIDATES[name](Work(kind, 1, 32, 32, "fp32", False, False))
