"""What the words of a command line mean, and what is said of those that cannot be read."""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import FILES

from maxvit_mm.inference.sources import SourceError, frames_of, sources_of

PHOTOS = sorted((FILES / "photos").glob("*.jpg"))


def write_video(path, frames=12, rate=Fraction(24000, 1001), noisy=False):
    """A video of frames that grow brighter."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(frames):
            image = np.full((48, 64, 3), 20 * i % 256, np.uint8)
            image = np.roll(noise, i, 1) if noisy else image
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory with a bit of everything."""
    monkeypatch.chdir(tmp_path)
    for place in ("photos/b.jpg", "photos/a.JPG", "photos/sub/c.jpg", "lists/beside.jpg", "alone/unnamed"):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PHOTOS[0], place)
    Path("lists/list.txt").write_text("# mine\nbeside.jpg\n\nphotos/b.jpg\nphotos/b.jpg\n")
    Path("empty").mkdir()
    write_video("photos/clip.mp4")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "recursive", "names"),
    [
        (["photos"], False, ["photos/a.JPG", "photos/b.jpg", "photos/clip.mp4"]),
        (["photos"], True, ["photos/a.JPG", "photos/b.jpg", "photos/clip.mp4", "photos/sub/c.jpg"]),
        (["photos/b.jpg", "photos/*", "./photos/b.jpg"], False, ["photos/b.jpg", "photos/a.JPG", "photos/clip.mp4", "photos/sub/c.jpg"]),  # noqa: E501
        (["photos/*.jpg"], False, ["photos/b.jpg"]),
        (["photos/**/*.jpg"], False, ["photos/b.jpg", "photos/sub/c.jpg"]),
        (["lists/list.txt"], False, ["lists/beside.jpg", "photos/b.jpg"]),
        (["alone/unnamed"], False, ["alone/unnamed"]),
        (["camera:0", "rtsp://h/x", "http://h/a.png"], False, ["camera:0", "rtsp://h/x", "http://h/a.png"]),
    ],
)  # fmt: skip
def test_words_mean_images_and_videos_each_once(home, words, recursive, names):
    found = sources_of(words, recursive)
    assert [source.name for source in found] == names
    kinds = {source.name: source.kind for source in found}
    assert all((kind == "video") == name.endswith(".mp4") for name, kind in kinds.items())
    assert all((kind == "stream") == (name in ("camera:0", "rtsp://h/x")) for name, kind in kinds.items())


def test_what_lies_in_a_folder_keeps_its_place_below_it(home):
    assert [str(source.place) for source in sources_of(["photos"], True)][-1] == "sub/c.jpg"
    assert str(sources_of(["photos/sub/c.jpg"])[0].place) == "c.jpg"


def test_frames_have_their_number_and_the_rate_of_their_video(home):
    frames = list(frames_of(sources_of(["photos/clip.mp4", "photos/b.jpg"])))
    assert [frame.number for frame in frames] == [*range(12), None]
    assert frames[0].rate == pytest.approx(23.976, abs=1e-3)
    assert frames[0].frames == 12
    assert [round(frame.image.mean() / 20) for frame in frames[:12]] == list(range(12))
    np.testing.assert_array_equal(frames[-1].image, cv2.imread(str(PHOTOS[0])))


def half_of(path, name):
    content = Path(path).read_bytes()
    Path(name).write_bytes(content[: len(content) // 2])
    return name


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("none.jpg", "is not there: name an image, a video, a folder"),
        ("*.gif", "matches no file"),
        ("empty", "is a folder without images or videos"),
        ("lists", None),
        (".", "is a folder without images or videos; 5 are in folders below it: add --recursive"),
        ("camera:front", "names no camera: the first one is camera:0"),
        ("camera:97", "cannot be opened: there is no such camera, or another program uses it"),
        ("http://127.0.0.1:9/a.jpg", "cannot be read ("),
        ("http://127.0.0.1:9/stream", "cannot be opened: nothing answers there, or it is no video"),
        ("text.jpg", "is a text file and no image"),
        ("text.mp4", "cannot be opened: it is damaged, cut short or of an unknown kind"),
        ("text.doc", "cannot be opened: it is no image and no video"),
        ("zero.png", "is empty"),
        ("half.jpg", "is damaged or cut short: copy or download it again"),
        ("half.mp4", "cannot be opened: it is damaged, cut short"),
        ("half.avi", "frames: it is damaged or cut short; those were read"),
        ("blank.txt", "names nothing: write a path on each line"),
        ("nested.txt", "is a list within the list"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_reason_and_the_rest_is_read(home, word, why):
    for name in ("text.jpg", "text.mp4", "text.doc"):
        Path(name).write_text("a letter to a friend")
    Path("zero.png").touch()
    Path("blank.txt").write_text("\n# nothing\n")
    Path("nested.txt").write_text("lists/list.txt\n")
    write_video("whole.avi", frames=60, noisy=True)
    half_of(PHOTOS[0], "half.jpg"), half_of("photos/clip.mp4", "half.mp4"), half_of("whole.avi", "half.avi")
    if word == ".":
        for path in Path().glob("*.*"):
            path.unlink()
    said = {}
    sources = sources_of([word, "photos/b.jpg"], complain=said.__setitem__)
    names = [frame.source.name for frame in frames_of(sources, complain=said.__setitem__)]
    assert names[-1] == "photos/b.jpg"
    assert list(said) == ([] if why is None else [word if word != "nested.txt" else "lists/list.txt"])
    assert why is None or why in next(iter(said.values()))
    if why is not None:
        with pytest.raises(SourceError):
            list(frames_of(sources_of([word])))
