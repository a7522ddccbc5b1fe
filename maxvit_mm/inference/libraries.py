"""Libraries that not everybody needs, for pictures, videos, tracks and ONNX files, or how to get them."""

from __future__ import annotations

from importlib.util import find_spec

HOW = {
    "supervision": "'supervision>=0.31'",
    "trackers": "'trackers>=2.6'",
    **{name: name for name in ("onnx", "onnxscript", "onnxruntime")},
}


def need(*names: str, what: str = "predictions") -> None:
    """Refuse to go on without libraries.

    Args:
        what: needs them.

    Raises:
        ImportError: says what to install.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        wanted = " ".join(HOW[name] for name in missing)
        raise ImportError(f"{what} need {' and '.join(missing)}: pip install {wanted}")
