"""MMPretrain's models of images and text are left out where the transformers that is there lacks names."""

import sys
from types import ModuleType

import pytest

from maxvit_mm.openmmlab import multimodal_import

THEIRS = (
    "GenerationMixin",
    "PreTrainedModel",
    "apply_chunking_to_forward",
    "find_pruneable_heads_and_indices",
)


@pytest.fixture(params=[(*THEIRS, "prune_linear_layer"), THEIRS], ids=["an older one", "a newer one"])
def transformers(request, monkeypatch):
    """A transformers of which the names are all that matters; whether MMPretrain's models find theirs."""
    package, module = ModuleType("transformers"), ModuleType("transformers.modeling_utils")
    vars(module).update(dict.fromkeys(request.param))
    monkeypatch.setitem(sys.modules, "transformers", package)
    monkeypatch.setitem(sys.modules, "transformers.modeling_utils", module)
    return len(request.param) == 5


@pytest.mark.parametrize("wanted", [True, False])
def test_they_are_imported_where_they_were_meant_to_be_and_can_be(transformers, wanted):
    module = ModuleType("mmpretrain.utils.dependency")
    multimodal_import.with_or_without(lambda it: vars(it).update(WITH_MULTIMODAL=wanted), module)
    assert vars(module)["WITH_MULTIMODAL"] == (wanted and transformers)


def test_mmpretrain_imports_beside_whatever_is_installed():
    pytest.importorskip("mmpretrain")
    import mmpretrain.models  # noqa: F401
