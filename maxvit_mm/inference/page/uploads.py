"""What a visitor sends, read as an image within limits, or a sentence on why not."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image

from ...data.images_on_disk import Decoder, quiet_decoders
from ..sources import Frame, Source, SourceError, read_image, what_is_wrong

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")  # whose sizes Pillow and OpenCV read alike
NAME = 60  # letters of a file's name that are kept
MEGABYTE, MILLION = 2**20, 10**6


class Limits(NamedTuple):
    """How large an upload may be: `bytes` of its file, and `pixels` of its image."""

    bytes: int = 20 * MEGABYTE
    pixels: int = 25 * MILLION


def read_upload(path: Path, name: str, decoder: Decoder, limits: Limits) -> Frame:
    """The image in a file. Its size is read from its head before anything is decoded.

    Args:
        name: what the visitor's machine calls it, which results and messages do as well.

    Raises:
        SourceError: where it is larger than the limits, or no image.
    """
    name = plain_name(name)
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= limits.bytes else b""
    except OSError as error:
        raise SourceError(f"{name} is no longer here: send it again") from error
    if size > limits.bytes:
        raise SourceError(
            f"{name} has {size / MEGABYTE:.3g} MB, and this page takes {limits.bytes / MEGABYTE:.3g} MB"
        )

    def refuse(_: str, why: str) -> None:
        raise SourceError(f"{name} {why}")

    with quiet_decoders():
        stated = stated_size(content)
        if stated is None:
            raise SourceError(f"{name} {what_is_wrong(content)}")
        width, height = stated
        if width * height > limits.pixels:
            raise SourceError(
                f"{name} is {width}x{height} pixels, {in_millions(width * height)} million in all, and this "
                f"page takes {in_millions(limits.pixels)} million: make it smaller"
            )
        image = read_image(Source("image", str(path), PurePosixPath(name)), decoder, refuse)
    assert image is not None  # `refuse` has raised otherwise
    return Frame(image, Source("image", name, PurePosixPath(name)))


def stated_size(content: bytes) -> tuple[int, int] | None:
    """Width and height that the head of a file states; None for a file of no known format."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            return image.size
    except Exception:  # a damaged file meets any of Pillow's errors
        return None


def plain_name(name: str) -> str:
    """The last part of a path of any system, without what cannot be printed, and not too long."""
    last = "".join(letter for letter in name.replace("\\", "/").rpartition("/")[2] if letter.isprintable())
    path = PurePosixPath(last.strip(". ") or "image")
    return path.stem[:NAME] + path.suffix[:NAME]


def in_millions(number: int) -> str:
    return f"{number / MILLION:.3g}"
