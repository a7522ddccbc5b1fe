"""What `torch.onnx.export` writes computes what the network does."""

import onnxruntime
import pytest
import torch
from conftest import SMALL, randomise

from maxvit_mm.network import Trunk, find_variant


@pytest.mark.parametrize("size", [(64, 96), (97, 75)])
def test_an_onnx_file_gives_the_same_maps(size, tmp_path):
    network, images = randomise(Trunk(find_variant(SMALL))).eval(), torch.randn(1, 3, *size)
    with torch.no_grad():
        expected = network(images)
        torch.onnx.export(network, (images,), tmp_path / "maxvit.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "maxvit.onnx")
    found = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    for one, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), wanted, rtol=1e-4, atol=1e-4)
