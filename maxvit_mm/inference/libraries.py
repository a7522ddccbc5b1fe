"""Libraries that not everybody needs: for pictures, videos, tracks, a page, ONNX files; how to get them."""

from __future__ import annotations

from importlib.util import find_spec

HOW = {
    "supervision": "'supervision>=0.31'",
    "trackers": "'trackers>=2.6'",
    "gradio": "'gradio>=6.31,<7'",
    **{name: name for name in ("onnx", "onnxscript", "onnxruntime")},
}


def need(*names: str, doing: str = "predictions") -> None:
    """Refuse to go on without libraries.

    Args:
        doing: what needs them, in the plural.

    Raises:
        ImportError: says what to install.
    """
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        wanted = " ".join(HOW[name] for name in missing)
        raise ImportError(f"{doing} need {' and '.join(missing)}: pip install {wanted}")
