"""Images on disk, each decoded once by what will decode it in training, and what is wrong with it."""

import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from hashlib import blake2b
from io import BytesIO
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeVar

import cv2
import mmcv
import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

T = TypeVar("T")
Stamp = tuple[int, int]  # bytes, and nanoseconds of the last change: another pair is another file
OPENCV_SIDE, OPENCV_PIXELS = 2**20, 2**30  # what OpenCV reads at most, unless its environment says more
DEEP = 8  # bits that a channel keeps
# By which images are found in folders
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
READ_BY_ALL = ("JPEG", "PNG", "WEBP", "BMP")
LARGE = 5 * 10**7  # pixels, from which on images are decoded one at a time, to spare memory
ALONE = Lock()


class Decoder(NamedTuple):
    """How a config's `LoadImageFromFile` reads: its `imdecode_backend` and `color_type`."""

    backend: str = "cv2"
    color_type: str = "color"

    def __call__(self, content: bytes) -> np.ndarray | None:
        return mmcv.imfrombytes(content, flag=self.color_type, backend=self.backend)


class Seen(NamedTuple):
    """What came of decoding an image: its size as training will have it, or what is wrong; a remark.

    Files of one digest have the same bytes.
    """

    width: int = 0
    height: int = 0
    fault: str = ""
    remark: str = ""
    digest: str = ""


def stamps(folder: Path, names: Iterable[str]) -> dict[str, Stamp]:
    """Those of `names` that are files below `folder`: it lists each directory once."""
    inside = defaultdict(set)
    for name in names:
        parent, _, child = name.rpartition("/")
        inside[parent].add(child)
    found = {}
    for parent, children in inside.items():
        if (folder / parent).is_dir():
            with os.scandir(folder / parent) as entries:
                for entry in entries:
                    if entry.name in children and entry.is_file():
                        stat = entry.stat()
                        found[f"{parent}/{entry.name}" if parent else entry.name] = (
                            stat.st_size,
                            stat.st_mtime_ns,
                        )
    return dict(sorted(found.items()))  # directories list files in no order


def look_at_all(folder: Path, names: list[str], decoder: Decoder) -> dict[str, Seen]:
    """Decode images in threads, with a progress bar where it takes a while."""
    return in_threads(lambda name: look_at(folder / name, decoder), names, "reading images")


def in_threads(look: Callable[[str], T], names: list[str], title: str) -> dict[str, T]:
    """What `look` sees of each name, with a progress bar where it takes a while."""
    with quiet_decoders(), ThreadPool() as pool:
        seen = pool.imap(look, names, chunksize=8)
        return dict(zip(names, tqdm(seen, title, len(names), delay=2, disable=None), strict=True))


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """OpenCV without its own warnings, and Pillow without its bound on sizes: ours are in the message."""
    level, most = cv2.utils.logging.getLogLevel(), Image.MAX_IMAGE_PIXELS
    cv2.utils.logging.setLogLevel(0)
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on broken EXIF data, name no file
            yield
    finally:
        cv2.utils.logging.setLogLevel(level)
        Image.MAX_IMAGE_PIXELS = most


def look_at(file: Path, decoder: Decoder) -> Seen:
    """Decode one image, and hold it against what its file says."""
    try:
        content = file.read_bytes()
    except OSError as error:
        return Seen(fault=f"cannot be read ({error.strerror})")
    if not content:
        return Seen(fault="are empty files")
    with ALONE if size_in(content) > LARGE else nullcontext():
        seen = decoded(content, decoder)
    return seen._replace(digest=blake2b(content, digest_size=12).hexdigest())


def size_in(content: bytes) -> int:
    """Pixels that the head of a file states, as far as Pillow knows it."""
    try:
        with Image.open(BytesIO(content)) as image:
            return image.size[0] * image.size[1]
    except Exception:  # a damaged file meets any of Pillow's errors
        return 0


def decoded(content: bytes, decoder: Decoder) -> Seen:
    """What comes of a file's bytes."""
    kind, mode, size, frames, whole = header(content)
    if decoder.backend == "cv2" and (max(size) > OPENCV_SIDE or size[0] * size[1] > OPENCV_PIXELS):
        return Seen(fault="have more pixels than OpenCV reads (2**30, 2**20 a side): cut them into tiles")
    try:
        image = decoder(content)
    except Exception:  # each decoder and each format has errors of its own
        image = None
    eight = decoder.color_type in ("color", "grayscale")
    fault, remark = depth(content, kind, mode) if eight else ("", "")
    if fault:
        return Seen(fault=fault)
    if not whole or (image is None and kind in READ_BY_ALL):
        return Seen(fault="are damaged or cut short: copy or download them again")
    if image is None:
        other = f", though Pillow knows them as {kind}" if kind else ""
        unknown = f"are not readable as images by {decoder.backend}, which training uses{other}"
        return Seen(fault=f"{unknown}: write them as JPEG or PNG")
    height, width = image.shape[:2]
    if not remark and mode in ("RGBA", "LA", "PA") and decoder.color_type == "color" and see_through(content):
        remark = "are transparent in part, where training shows the colours beneath"
    if frames > 1 and kind != "MPO":  # a camera's second view of the same
        remark = remark or "hold several frames, of which the first alone is read"
    return Seen(width, height, remark=remark)


def header(content: bytes) -> tuple[str, str, tuple[int, int], int, bool]:
    """Format, mode, size and frames as Pillow sees them, and whether all of the file is there.

    Decoders go on where a file is cut short, with grey for the rest. Pillow tells. Of what it does not know,
    nothing is said.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            kind, mode, size = image.format or "", image.mode, image.size
            frames = getattr(image, "n_frames", 1)
            try:
                if kind == "PNG":
                    image.verify()  # the sums of its chunks, without decoding
                elif kind != "EPS":  # a program, which Ghostscript would run
                    image.draft("L", (1, 1))  # of a JPEG an eighth: enough to reach its end
                    image.load()
            except Exception:  # a damaged file meets any of Pillow's errors
                return kind, mode, size, frames, False
            return kind, mode, size, frames, True
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return "", "", (0, 0), 1, True


def depth(content: bytes, kind: str, mode: str) -> tuple[str, str]:
    """Fault and remark for channels of more than 8 bits, of which training keeps 8."""
    bits_of_png = content[24] if kind == "PNG" else 0
    shallow = kind in ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP") and bits_of_png <= DEEP
    if shallow and not mode.startswith(("I", "F")):
        return "", ""
    raw = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype == np.uint8:
        return "", ""
    if raw.dtype != np.uint16:
        return f"hold {raw.dtype} values, which training would clip to 8 bits: scale them to 0 to 255", ""
    levels = int(raw.max()) // 256 + 1
    if levels < 64:
        what = f"hold 16-bit values up to {raw.max()}, of which training would keep {levels} levels"
        return f"{what}: scale them to 0 to 255 and write 8 bits", ""
    return "", "hold 16-bit values, of which training keeps the upper 8 bits"


def see_through(content: bytes) -> bool:
    with Image.open(BytesIO(content)) as image:
        return bool(np.asarray(image.getchannel("A")).min() < 255)
