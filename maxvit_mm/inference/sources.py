"""Where images come from: files, folders, patterns, lists, videos, cameras, streams."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np
from mmengine.fileio import get

from ..data.images_on_disk import IMAGE_SUFFIXES, READ_BY_ALL, Decoder, header, quiet_decoders

VIDEOS = (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
CAMERA = "camera:"
WAIT = 10_000  # milliseconds for a stream's answer
WHOLE = 0.9  # of the frames that a video's head states: heads are not exact
WHAT = "name an image, a video, a folder, a pattern, a .txt file with a path a line, camera:0 or an address"
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is wrong with a file is said below

Complain = Callable[[str, str], None]  # a source's name, and why it or a part of it cannot be read


class SourceError(ValueError):
    """A source that cannot be read; the message says which and why."""


class Source(NamedTuple):
    """One image, video or stream.

    name: as messages and results call it.
    place: the path below the output folder that what is found in it goes to, by its own suffix.
    """

    kind: str
    name: str
    place: PurePosixPath


class Frame(NamedTuple):
    """image: [height, width, 3] in BGR, 0 to 255; `number` counts the frames of a video or stream from 0.

    rate: frames a second. frames: how many a video's head states, 0 where nobody knows.
    """

    image: np.ndarray
    source: Source
    number: int | None = None
    rate: float = 0.0
    frames: int = 0


def refuse(name: str, why: str) -> None:
    raise SourceError(f"{name} {why}")


def sources_of(texts: list[str], recursive: bool = False, complain: Complain = refuse) -> list[Source]:
    """All that the words of a command line mean, each once, in their order; within a folder, by name."""
    found: dict[str, Source] = {}
    for text in texts:
        for source in meant_by(text, recursive, complain):
            local = "://" not in source.name and not source.name.startswith(CAMERA)
            found.setdefault(str(Path(source.name).resolve()) if local else source.name, source)
    return list(found.values())


def meant_by(text: str, recursive: bool, complain: Complain) -> Iterator[Source]:
    if text.startswith(CAMERA):
        if text.removeprefix(CAMERA).isdigit():
            yield Source("stream", text, PurePosixPath(text.replace(":", "_")))
        else:
            complain(text, "names no camera: the first one is camera:0")
        return
    if "://" in text:
        parts = urlsplit(text)
        last = PurePosixPath(PurePosixPath(parts.path).name or (parts.hostname or "stream").replace(".", "_"))
        yield Source("image" if last.suffix.lower() in IMAGE_SUFFIXES else "stream", text, last)
        return
    path = Path(text).expanduser()
    if path.is_dir():
        yield from inside(path, recursive, complain)
    elif path.is_file() and path.suffix.lower() == ".txt":
        yield from listed_in(path, recursive, complain)
    elif path.is_file():
        yield of_file(path, PurePosixPath(path.name))
    elif glob.has_magic(text):
        names = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207  (of a whole path, with its root)
        if not names:
            complain(text, "matches no file")
        for name in names:
            yield from meant_by(name, recursive, complain)
    else:
        complain(text, f"is not there: {WHAT}")


def inside(folder: Path, recursive: bool, complain: Complain) -> Iterator[Source]:
    """The images and videos of a folder; they keep their places below it."""
    below = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEOS))
    here = [path for path in below if recursive or path.parent == folder]
    if not here:
        deeper = f"; {len(below)} are in folders below it: add --recursive" if below else ""
        complain(str(folder), f"is a folder without images or videos{deeper}")
    for path in here:
        yield of_file(path, PurePosixPath(path.relative_to(folder).as_posix()))


def listed_in(file: Path, recursive: bool, complain: Complain) -> Iterator[Source]:
    """The paths in a text file, from the working directory or from where the file is."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        complain(str(file), "names nothing: write a path on each line")
    for line in lines:
        beside = file.parent / line
        is_beside = "://" not in line and not Path(line).expanduser().exists() and beside.exists()
        if Path(line).suffix.lower() == ".txt":
            complain(line, f"is a list within the list {file}")
            continue
        yield from meant_by(str(beside) if is_beside else line, recursive, complain)


def of_file(path: Path, place: PurePosixPath) -> Source:
    """By its suffix; a file of another one by what is in it."""
    suffix = path.suffix.lower()
    is_image = suffix in IMAGE_SUFFIXES or (suffix not in VIDEOS and cv2.haveImageReader(str(path)))
    return Source("image" if is_image else "video", str(path), place)


def frames_of(
    sources: list[Source], decoder: Decoder | None = None, complain: Complain = refuse
) -> Iterator[Frame]:
    """The images of all sources, one after another."""
    with quiet_decoders():
        for source in sources:
            if source.kind == "image":
                image = read_image(source, decoder or Decoder(), complain)
                if image is not None:
                    yield Frame(image, source)
            else:
                yield from read_video(source, complain)


def read_image(source: Source, decoder: Decoder, complain: Complain) -> np.ndarray | None:
    try:
        content = get(source.name)
    except Exception as error:  # of a disk, or of a network
        complain(source.name, f"cannot be read ({first_line(error)})")
        return None
    try:
        image = decoder(content)
    except Exception:  # each decoder and each format has errors of its own
        image = None
    if image is None or not header(content)[-1]:
        complain(source.name, what_is_wrong(content))
        return None
    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(image[..., :3]).astype(np.uint8, copy=False)


def what_is_wrong(content: bytes) -> str:
    if not content:
        return "is empty"
    kind, *_, is_whole = header(content)
    if kind and (kind in READ_BY_ALL or not is_whole):
        return "is damaged or cut short: copy or download it again"
    if kind:
        return f"is of the kind {kind}, which is not read here: write it as JPEG or PNG"
    if "".join(content[:256].decode("utf-8", errors="replace").split()).isprintable():
        return "is a text file and no image"
    return "is no image that can be read: write it as JPEG or PNG"


def read_video(source: Source, complain: Complain) -> Iterator[Frame]:
    with opened(source) as video:
        if not video.isOpened():
            complain(source.name, f"cannot be opened: {why_closed(source)}")
            return
        rate = video.get(cv2.CAP_PROP_FPS)
        rate = rate if 0 < rate <= 1000 else 25.0  # a stream may not say
        stated = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if source.kind == "video" else 0
        stated = stated if 0 < stated < 10**9 else 0
        count = 0
        while True:
            is_there, image = video.read()
            if not is_there:
                break
            yield Frame(image, source, count, rate, stated)
            count += 1
        if count == 0:
            complain(source.name, f"has no frame that can be read: {why_closed(source)}")
        elif count < WHOLE * stated:
            complain(
                source.name,
                f"ends after {count} of {stated} frames: it is damaged or cut short; those were read",
            )


@contextmanager
def opened(source: Source) -> Iterator[cv2.VideoCapture]:
    if source.name.startswith(CAMERA):
        video = cv2.VideoCapture(int(source.name.removeprefix(CAMERA)))
    elif source.kind == "stream":
        waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, WAIT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, WAIT]
        video = cv2.VideoCapture(source.name, cv2.CAP_FFMPEG, waits)
    else:
        video = cv2.VideoCapture(source.name)
    try:
        yield video
    finally:
        video.release()


def why_closed(source: Source) -> str:
    if source.name.startswith(CAMERA):
        return "there is no such camera, or another program uses it"
    if source.kind == "stream":
        return f"nothing answers there, or it is no video (waited at most {WAIT // 1000} seconds)"
    if Path(source.name).suffix.lower() in VIDEOS:
        return "it is damaged, cut short or of an unknown kind"
    return f"it is no image and no video: {WHAT}"


def first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]
