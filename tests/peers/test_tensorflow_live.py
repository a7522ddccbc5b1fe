"""The small reader of our tests against TensorFlow's own, which the converter uses."""

import numpy as np
import pytest
import tensor_bundle
from conftest import FILES

from maxvit_mm.weights.tensorflow import find_prefix, import_reader

GOLDEN = FILES / "golden"


@pytest.mark.parametrize("name", ["ckpt_A_ema", "ckpt_B_raw", "ckpt_C_full"])
def test_tensorflow_reads_what_our_tests_read(name):
    prefix = find_prefix(GOLDEN / name)
    assert import_reader().__module__.startswith("tensorflow")
    theirs, ours = import_reader()(str(prefix)), tensor_bundle.load_checkpoint(prefix)
    assert theirs.get_variable_to_shape_map() == ours.get_variable_to_shape_map()
    for variable in ours.get_variable_to_shape_map():
        assert np.array_equal(theirs.get_tensor(variable), ours.get_tensor(variable)), variable
