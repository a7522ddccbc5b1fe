"""The page of tools/serve.py, asked over HTTP as a browser would: answers, downloads, limits and refusals."""

import asyncio
import io
import json
import os
import socket
import struct
import zlib
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'gradio>=6.31,<7'")

from httpx import Client
from PIL import Image
from runs import finder_after, free_port
from untrained import NAMES as CLASSES
from visitors import RefusedError, Visitor, together

from maxvit_mm.inference.classifier import Classifier
from maxvit_mm.inference.page.door import WORDS, Door
from maxvit_mm.inference.page.folder import BLOCK, Folder
from maxvit_mm.inference.page.layout import switches
from maxvit_mm.inference.page.object_answers import ObjectAnswers
from maxvit_mm.inference.page.pages import finder_of
from maxvit_mm.inference.page.serving import SESSIONS, images_in, serving
from maxvit_mm.inference.page.uploads import Limits, plain_name
from maxvit_mm.inference.segmenter import Segmenter, shares_of

LIMITS = Limits(bytes=400_000, pixels=300_000)
NAMES = ["disk", "square", "triangle", "star"]
SAID, PICTURE, TABLE, PICTURE_FILE, RESULTS_FILE, OBJECTS = range(1, 7)  # among the answers of `find`


@pytest.fixture(scope="module")
def finder(trained):
    return finder_after(trained, LIMITS)


@pytest.fixture(scope="module")
def address(finder, shapes):
    examples = images_in(shapes / "val2017")
    with serving(finder, "127.0.0.1", free_port(), 0.3, waiting=5, examples=examples) as address:
        yield address


@pytest.fixture
def visitor(address):
    visitor = Visitor(address)
    yield visitor
    visitor.client.close()


@pytest.fixture(scope="module")
def photo(shapes):
    return sorted((shapes / "val2017").glob("*.jpg"))[0]


@pytest.fixture
def calls(finder, monkeypatch):
    """Each time that the network runs."""
    seen, run = [], finder.predictor.model.test_step
    monkeypatch.setattr(finder.predictor.model, "test_step", lambda data: (seen.append(1), run(data))[1])
    return seen


def encoded(width, height, suffix=".png"):
    return cv2.imencode(suffix, np.full((height, width, 3), 127, np.uint8))[1].tobytes()


def bomb(side):
    """A small PNG of many pixels, all of them black."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    deflate = zlib.compressobj(9)
    rows = [deflate.compress(bytes(1 + side // 8) * 100) for _ in range(side // 100)]
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", b"".join(rows) + deflate.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def values(answer):
    """New values of components, which Gradio sends as they are or as changes of several properties."""
    return [each["value"] if isinstance(each, dict) and "__type__" in each else each for each in answer]


def rows_of(answer):
    return answer[TABLE]["data"]


def test_an_image_becomes_a_picture_a_table_and_files(visitor, photo):
    answer = values(visitor.find(photo.name, photo.read_bytes(), 0.0, NAMES))
    rows = rows_of(answer)
    assert f"{len(rows)} objects (" in answer[SAID]
    assert f") in {photo.name}, " in answer[SAID]
    picture = cv2.imdecode(np.frombuffer(visitor.get(answer[PICTURE_FILE]), np.uint8), cv2.IMREAD_COLOR)
    assert 480 <= max(picture.shape) < 960
    results = json.loads(visitor.get(answer[RESULTS_FILE]))
    assert [image["file_name"] for image in results["images"]] == [photo.name]
    assert [category["name"] for category in results["categories"]] == NAMES
    scores = [each["score"] for each in results["annotations"]]
    assert [float(row[2]) for row in rows] == pytest.approx(scores, abs=6e-4)
    assert [row[0] for row in rows] == list(range(1, 7))


def test_slider_and_switches_filter_and_the_network_runs_once(visitor, photo, calls):
    found = rows_of(values(visitor.find(photo.name, photo.read_bytes(), 0.0, NAMES)))
    middle, name = float(found[3][2]), found[0][1]
    above = rows_of(values([None, *visitor.ask("show", None, middle - 5e-4, NAMES)]))
    of_class = rows_of(values([None, *visitor.ask("show", None, 0.0, [name])]))
    nothing = values([None, *visitor.ask("show", None, 1.0, NAMES)])
    assert above == [row for row in found if float(row[2]) >= middle]
    assert of_class == [row for row in found if row[1] == name]
    assert rows_of(nothing) == []
    assert "0 objects in " in nothing[SAID]
    assert json.loads(visitor.get(nothing[RESULTS_FILE]))["annotations"] == []
    assert len(calls) == 1


def test_where_it_looked_from_an_object_and_from_a_place(visitor, photo):
    visitor.find(photo.name, photo.read_bytes(), 0.0, NAMES)
    (of_object,) = values(visitor.ask("explain", None, 0, "", 2, ["rollout", "local"]))
    (of_place,) = values(visitor.ask("explain", None, None, "20, 30.5", 2, ["rollout", "local"]))
    three, two = (Image.open(io.BytesIO(visitor.get(each))) for each in (of_object, of_place))
    assert three.width > two.width  # a place has no score, whose gradient could be shown


@pytest.mark.parametrize(
    ("number", "place", "maps", "said"),
    [
        (0, "here", ["grid"], "'here' is no place: write it as 120,80 (x,y)."),
        (0, "9999,1", ["grid"], "(9999, 1) is outside the image, of "),
        (0, "20,30", ["local"], "choose an object, or another map."),
        (None, "", ["grid"], "Nothing is shown: lower the score, or click a place in the image."),
        (0, "", [], "choose a map or more"),
    ],
)
def test_what_cannot_be_explained_gets_a_sentence(visitor, photo, number, place, maps, said):
    visitor.find(photo.name, photo.read_bytes(), 0.0, NAMES)
    with pytest.raises(RefusedError) as refused:
        visitor.ask("explain", None, number, place, 1, maps)
    assert said in str(refused.value)


CRAFTED = [
    *[
        ("explain", (None, 0, "", stage, ["grid"]), "the stages 1 to 4")
        for stage in (0, 99, -1, None, "2", [])
    ],
    *[("explain", (None, 0, "", 1, kinds), "Choose among block, ") for kinds in (["none"], 7, "grid", [[]])],
    ("explain", (None, 0, "", 1, None), "choose a map or more"),
    *[("explain", (None, number, "", 1, ["grid"]), "Nothing is shown") for number in (1.0, True, [0], 10**9)],
    *[("explain", (None, 0, place, 1, ["grid"]), "is no place") for place in ([1], "1" + " " * 50_000 + "x")],
    *[("show", (None, score, NAMES), "from 0 to 1") for score in (None, "x", [], 2, -1e300)],
    *[("show", (None, 0.3, names), "Choose among disk, ") for names in (["none"], 7, "disk", [{}])],
    *[("example", ("index", index), "Choose one of the examples") for index in (10**9, -1, "0", None)],
    *[("point", ("index", index), "Click a place") for index in (None, 3, [1], ["a", 2], [1, 1e300])],
]


@pytest.mark.parametrize(("what", "words", "said"), CRAFTED, ids=map(str, range(len(CRAFTED))))
def test_what_no_component_would_say_gets_a_sentence(visitor, photo, what, words, said):
    visitor.find(photo.name, photo.read_bytes(), 0.0, NAMES)
    event = None
    if what in ("example", "point"):
        words, event = (None,) * (what == "point"), {"index": words[1], "value": None}
    with pytest.raises(RefusedError) as refused:
        visitor.ask(what, *words, event=event)
    assert said in str(refused.value)


def test_nothing_is_shown_or_explained_before_an_image_is_sent(visitor):
    assert "this one is gone: send it again" in values(visitor.ask("show", None, 0.3, NAMES))[0]
    with pytest.raises(RefusedError, match="Send an image first"):
        visitor.ask("explain", None, 0, "", 1, ["grid"])


BAD = [
    ("text.jpg", b"not an image", "text.jpg is a text file and no image"),
    ("empty.png", b"", "empty.png is empty"),
    ("noise.jpg", bytes(range(256)), "noise.jpg is no image that can be read"),
    ("cut.png", encoded(300, 300)[:-40], "cut.png is damaged or cut short"),
    (
        "bomb.png",
        bomb(30_000),
        "bomb.png is 30000x30000 pixels, 900 million in all, and this page takes 0.3",
    ),
    ("../../a/large.png", encoded(601, 500), "large.png is 601x500 pixels, 0.3 million in all"),
    ("tiny.png", encoded(10, 10), "tiny.png is 10x10 pixels, of which the network sees 10 along a side"),
    (
        "page.eps",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "page.eps is of the kind EPS, which is not",
    ),
    ("<b>.jpg", b"text", "&lt;b&gt;.jpg is a text file and no image"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD, ids=[name for name, *_ in BAD])
def test_what_is_no_usable_image_gets_a_sentence_and_no_network(visitor, calls, name, content, said):
    answer = values(visitor.find(name, content, 0.3, NAMES))
    assert said in answer[SAID]
    assert answer[PICTURE] is None
    assert rows_of(answer) == []
    assert calls == []


def test_an_image_of_which_the_network_would_see_too_much_gets_a_sentence(
    finder, visitor, calls, monkeypatch
):
    monkeypatch.setattr(finder.predictor, "most_pixels", 64 * 50)
    wide = values(visitor.find("wide.png", encoded(66, 50), 0.0, NAMES))[SAID]
    assert "wide.png is 66x50 pixels, of which the network sees 66x50, 0.0033 million in all" in wide
    assert "it takes 0.0032 million here: make it smaller" in wide
    assert calls == []
    assert "fits.png, 64x50" in values(visitor.find("fits.png", encoded(64, 50), 0.0, NAMES))[SAID]


def test_an_image_that_memory_cannot_hold_gets_a_sentence(finder, visitor, photo, monkeypatch):
    visitor.find(photo.name, photo.read_bytes(), 0.0, NAMES)
    monkeypatch.setattr(finder.predictor.model, "test_step", lambda data: torch.empty(2**50))
    with pytest.raises(RefusedError, match="too large for the memory"):
        visitor.ask("explain", None, 0, "", 2, ["grid"])
    said = values(visitor.find(photo.name, photo.read_bytes(), 0.0, NAMES))[SAID]
    assert "too large for the memory of the device: make it smaller" in said


def test_another_fault_of_the_network_is_not_taken_for_a_lack_of_memory(finder, photo, monkeypatch):
    monkeypatch.setattr(finder.predictor.model, "test_step", lambda data: torch.ones(2) @ torch.ones(3))
    with pytest.raises(RuntimeError, match="size"):
        finder.find(photo, photo.name)


def test_a_file_above_the_limit_is_turned_away(visitor):
    with pytest.raises(RefusedError, match=r"this has 500\d\d\d bytes, and the page takes 410000"):
        visitor.upload("large.bmp", bytes(500_000))
    with pytest.raises(RefusedError, match="maximum allowed size"):
        visitor.upload("a_little_large.bmp", bytes(401_000))
    endless = visitor.client.post("/gradio_api/upload", content=iter([b"a"]))
    assert (endless.status_code, endless.text) == (411, "say how long it is")
    words = visitor.client.post("/gradio_api/queue/join", content=b'"' + bytes(200_000) + b'"')
    assert words.status_code == 413


@pytest.mark.parametrize("path", ["upload", "queue/join", "cancel"])
def test_a_body_in_chunks_is_turned_away_though_its_head_states_a_length(visitor, path):
    url = visitor.client.base_url
    head = f"POST /gradio_api/{path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Length: 4\r\n"
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 411 ")


def test_words_that_go_on_beyond_their_limit_are_not_read_to_the_end(tmp_path):
    read, said = [], []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": bytes(WORDS // 4), "more_body": True}

    async def send(message):
        said.append(message)

    head = [(b"host", b"localhost"), (b"content-length", b"4")]
    asked = dict(type="http", method="POST", path="/gradio_api/queue/join", headers=head)
    asyncio.run(Door(None, 10, Folder(tmp_path, 10), ["localhost"])(asked, receive, send))
    assert said[0]["status"] == 413
    assert len(read) == 5


def test_taking_the_image_away_empties_the_page(visitor, photo):
    visitor.find(photo.name, photo.read_bytes(), 0.0, NAMES)
    answer = values(visitor.ask("find", None, 0.3, NAMES))
    assert "Drop an image" in answer[SAID]
    assert "send it again" in values(visitor.ask("show", None, 0.3, NAMES))[0]


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "secret.png"
    file.write_bytes(encoded(64, 64))
    return file


def test_no_file_of_the_machine_can_be_read(visitor, secret):
    own = visitor.upload("own.png", encoded(64, 64))["path"]
    assert visitor.client.get(f"/gradio_api/file={own}").status_code == 200
    folder = Path(own).parents[1]
    link = folder / "link.png"
    link.symlink_to(secret)
    tried = [
        *(
            "/etc/passwd",
            "//etc/passwd",
            str(secret),
            str(link),
            f"{folder}/../{secret}",
            "setup.py",
            ".",
            str(folder),
        ),
        *(
            f"{own}/../../../..{secret}",
            f"{own}/%2e%2e/%2e%2e/%2e%2e{secret}",
            "file:///etc/passwd",
            "a" * 5000,
        ),
        "http://127.0.0.1:1/a.png",
    ]
    for path in tried:
        for address in (f"/gradio_api/file={path}", f"/gradio_api/file/{path}", f"/file={path}"):
            assert visitor.client.get(address).status_code in (403, 404), address
    for address in ("/static/../../../../etc/passwd", "/assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"):
        assert visitor.client.get(address).status_code in (403, 404), address


def test_no_file_of_the_machine_and_no_address_can_be_named_as_an_upload(visitor, secret):
    own = Path(visitor.upload("own.png", encoded(64, 64))["path"])
    about = {"orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
    for path in ("/etc/passwd", str(secret), f"{own}/../../..{secret}", "http://localhost/a.png", "setup.py"):
        for words in (({"path": path, **about}, 0.3, NAMES), (None, {"path": path, **about}, [])):
            with pytest.raises(RefusedError, match="upload the file"):
                visitor.ask("find", *words)
    gone = {"path": str(own.with_name("gone.png")), **about}
    assert "a.png is no longer here: send it again" in values(visitor.ask("find", gone, 0.3, NAMES))[SAID]


def test_addresses_that_the_page_does_not_need_are_closed(visitor, address):
    client = visitor.client
    for method, path in [
        *[
            ("POST", f"/gradio_api/{each}")
            for each in ("component_server", "run/find", "call/find", "vibe-edit")
        ],
        *[
            ("GET", f"/gradio_api/{each}")
            for each in ("deep_link?session_hash=a", "runs", "proxy=http://a.hf.space")
        ],
        *[("GET", "/monitoring"), ("GET", "/docs"), ("PUT", "/"), ("POST", "/gradio_api/process_recording")],
    ]:
        assert client.request(method, path, json={}).status_code == 404, path
    assert client.post("/gradio_api/queue/join", content=b"{").status_code == 400
    for host in ("elsewhere.example", "[", ""):
        assert client.get("/", headers={"Host": host}).status_code == 403, host
    assert client.get("/", headers={"Origin": "http://elsewhere.example"}).status_code == 403
    page = client.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_server_with_https_before_the_page_keeps_the_name_that_the_page_was_told(finder, host):
    port = free_port()
    passed_on = {"Host": "page.example", "X-Forwarded-Proto": "https"}
    with (
        serving(finder, host, port, 0.3, waiting=1, names=["Page.Example"]),
        Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        config = client.get("/config", headers={**passed_on, "Origin": "https://page.example"})
        assert config.json()["root"] == "https://page.example"
        rewritten = {**passed_on, "Host": f"127.0.0.1:{port}", "Origin": "https://page.example"}
        assert client.get("/config", headers=rewritten).status_code == 403
        assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 403
        assert client.get("/").status_code == 200


def test_many_at_once_are_answered_or_told_that_the_queue_is_full(address, photo):
    outcomes = together(address, photo, 50, NAMES)
    assert outcomes.total() == 50
    assert outcomes.pop("answered") >= 6  # one at work and five that wait
    assert all("Queue is full. Max size is 5" in said for said in outcomes)


def test_the_images_of_the_last_visitors_alone_are_kept(address):
    visitors = [Visitor(address) for _ in range(SESSIONS + 1)]
    for visitor in visitors:
        visitor.find("small.png", encoded(40, 40), 0.0, NAMES)
    gone, kept = (values(visitors[i].ask("show", None, 0.0, NAMES))[0] for i in (0, -1))
    assert "this one is gone: send it again" in gone
    assert "in small.png" in kept
    for visitor in visitors:
        visitor.client.close()


def test_of_many_classes_some_are_chosen_and_none_means_all(finder, photo, tmp_path, monkeypatch):
    monkeypatch.setattr("maxvit_mm.inference.page.answers.FEW", 3)
    monkeypatch.setattr("maxvit_mm.inference.page.layout.FEW", 3)
    assert switches(NAMES).multiselect
    answers = ObjectAnswers(finder, Folder(tmp_path, 10**7), [])
    finding = finder.find(photo, photo.name)
    name = finding.object(0).name
    none, one = (answers.show(finding, 0.0, wanted)[2] for wanted in ([], [name]))
    assert len(none) == 6
    assert one == [row for row in none if row[1] == name]


@contextmanager
def visit_to(predictor):
    """A visitor of the page of another task."""
    port = free_port()
    with serving(finder_of(predictor, LIMITS), "127.0.0.1", port, 0.3, waiting=5) as address:
        visitor = Visitor(address)
        yield visitor
        visitor.client.close()


def absent(shares):
    """A class that no pixel has, and what is said of it."""
    there = {label for label, _ in shares}
    return [(label, "there is no .* in this image") for label in range(3) if label not in there]


def test_a_segmenters_page_shows_an_overlay_shares_and_the_label_map(segmenter, photo):
    model = Segmenter(segmenter, device="cpu", most_pixels=64 * 256)
    ((image, labels),) = model(str(photo))
    with visit_to(model) as visitor:
        said, picture, table, picture_file, map_file, *_ = values(
            visitor.ask("find", visitor.upload(photo.name, photo.read_bytes()), list(CLASSES))[1:]
        )
        shares = shares_of(labels, 3)
        assert f"{len(shares)} class" in said
        assert f" in {photo.name}, {image.shape[1]}x{image.shape[0]} pixels" in said
        expected = [[CLASSES[label], label, f"{100 * share:.2f} %"] for label, share in shares]
        assert table["data"] == expected
        stored = Image.open(io.BytesIO(visitor.get(map_file)))
        assert stored.mode == "P"
        np.testing.assert_array_equal(np.asarray(stored), labels)
        assert visitor.get(picture_file) == visitor.get(picture)
        drawn = Image.open(io.BytesIO(visitor.get(picture)))
        assert drawn.width > drawn.height * image.shape[1] // image.shape[0]
        label, first = shares[0][0], CLASSES[shares[0][0]]
        of_class, of_place = (
            Image.open(io.BytesIO(visitor.get(values(visitor.ask("explain", None, *words))[0])))
            for words in ((label, "", 2, ["rollout", "local"]), (None, "20, 30.5", 2, ["rollout", "local"]))
        )
        assert of_class.width > of_place.width  # a place has no score, whose gradient could be shown
        for number, words in ((7, "Choose a class"), (None, "Choose a class"), *absent(shares)):
            with pytest.raises(RefusedError, match=words):
                visitor.ask("explain", None, number, "", 2, ["grid"])
        _, _, table, _, map_file, *_ = values(visitor.ask("show", None, [first]))
        assert table["data"] == expected[:1]
        alone = np.asarray(Image.open(io.BytesIO(visitor.get(map_file))))
        np.testing.assert_array_equal(alone, np.where(labels == shares[0][0], labels, 255))
        with pytest.raises(RefusedError, match="Choose among ground, disk, square"):
            visitor.ask("show", None, ["sky"])
        text = values(visitor.ask("find", visitor.upload("text.jpg", b"a letter"), list(CLASSES)))
        assert "text.jpg is a text file and no image" in text[1]
        assert text[2] is None
        monochrome = visitor.upload("large.png", encoded(601, 500))
        assert "0.3 million in all" in visitor.ask("find", monochrome, list(CLASSES))[1]


def test_a_classifiers_page_shows_the_best_classes(classifier, photo):
    model = Classifier(classifier, device="cpu", most_pixels=64 * 64)
    ((_, found),) = model(str(photo))
    with visit_to(model) as visitor:
        said, label, file, *_ = values(
            visitor.ask("find", visitor.upload(photo.name, photo.read_bytes()))[1:]
        )
        best = CLASSES[found.class_id[0]]
        assert f"{best} ({100 * found.confidence[0]:.1f} %) in {photo.name}, " in said
        assert label["label"] == best
        told = {each["label"]: each["confidence"] for each in label["confidences"]}
        expected = zip(found.class_id, found.confidence.tolist(), strict=True)
        assert told == pytest.approx({CLASSES[number]: score for number, score in expected}, abs=1e-4)
        assert Image.open(io.BytesIO(visitor.get(file))).width > 480
        (maps,) = values(visitor.ask("explain", None, int(found.class_id[1]), "", 2, ["grid", "gradient"]))
        assert Image.open(io.BytesIO(visitor.get(maps))).width > 480
        narrow = values(visitor.ask("find", visitor.upload("narrow.png", encoded(500, 4))))
        assert "narrow.png is 500x4 pixels, 125 times as long as wide; it takes 100 times" in narrow[1]
        assert "show" not in visitor.numbers


def test_old_files_go_when_the_folder_is_full_and_all_at_the_end(tmp_path, finder):
    folder = Folder(tmp_path, most=2 * BLOCK)  # a small file takes a block as well
    (tmp_path / "example.png").write_bytes(bytes(5000))
    folder.keep()
    files = [folder.new() / "picture.png" for _ in range(4)]
    for age, file in enumerate(files):
        file.write_bytes(bytes(1000))
        os.utime(file, (age, age))
    folder.tidy()
    assert [file.exists() for file in files] == [False, False, True, True]
    assert not files[0].parent.exists()
    assert (tmp_path / "example.png").exists()
    before = os.environ.get("GRADIO_TEMP_DIR")
    with serving(finder, "127.0.0.1", free_port(), 0.3, waiting=1) as address:
        own = Path(Visitor(address).upload("own.png", encoded(64, 64))["path"])
        assert own.exists()
    assert not own.parents[1].exists()
    assert os.environ.get("GRADIO_TEMP_DIR") == before


def test_examples_stay_in_their_folder(tmp_path, secret):
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "in.png").write_bytes(encoded(64, 64))
    (folder / "text.txt").write_text("no image")
    (folder / "within.png").symlink_to(folder / "in.png")
    (folder / "out.png").symlink_to(secret)
    assert [file.name for file in images_in(folder)] == ["in.png", "within.png"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("photo.jpg", "photo.jpg"),
        ("/etc/passwd", "passwd"),
        ("C:\\pictures\\a.png", "a.png"),
        ("..", "image"),
        ("", "image"),
        ("a\nb\x00.png", "ab.png"),
        ("é" * 300 + ".jpeg", "é" * 60 + ".jpeg"),
    ],
)
def test_a_visitors_name_for_a_file_is_made_plain(name, plain):
    assert plain_name(name) == plain
