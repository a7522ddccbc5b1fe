"""`tools/serve.py` as a user calls it: it starts, says where, and refuses what cannot be served."""

import os
import signal
import socket
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'gradio>=6.31,<7'")

from runs import free_port, refusal

from maxvit_mm.commands import serve
from maxvit_mm.inference.page.serving import LOCAL, serving

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def checkpoint(trained):
    return str(trained / "iter_2.pth")


def test_it_says_where_the_page_is_and_who_can_use_it(checkpoint, shapes, capsys, monkeypatch):
    pages = []

    def look():
        address = f"http://127.0.0.1:{port}/"
        with urllib.request.urlopen(address) as answer:
            pages.append(answer.read().decode())

    monkeypatch.setattr(serve, "wait", look)
    for host in ("127.0.0.1", "0.0.0.0"):
        port = free_port()
        options = [
            "--host",
            host,
            "--port",
            str(port),
            "--examples",
            str(shapes / "val2017"),
            "--device",
            "cpu",
        ]
        serve.main([checkpoint, *options])
        said = capsys.readouterr().out.splitlines()
        name = host if host in LOCAL else "localhost"
        assert f"the page is at http://{name}:{port}/ (Ctrl+C ends it)" in said
        warned = "note: everybody who reaches this machine at 0.0.0.0 can use it: it has no password"
        assert (warned in said) == (host == "0.0.0.0")
    assert all("What the detector finds" in page for page in pages)
    assert len(pages) == 2


def test_a_process_told_to_end_deletes_the_files_of_the_page(checkpoint, capsys, monkeypatch, tmp_path):
    """Also where it is told so while the page opens."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen = []

    @contextmanager
    def ended(*words):
        with serving(*words) as address:
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler  # or the tests would end
            seen.extend(tmp_path.glob("maxvit_mm-*"))
            os.kill(os.getpid(), signal.SIGTERM)
            yield address

    monkeypatch.setattr("maxvit_mm.inference.page.serving.serving", ended)
    try:
        serve.main([checkpoint, "--port", str(free_port()), "--device", "cpu"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().out.splitlines()[-1] == "the page is closed"
    assert len(seen) == 1
    assert not seen[0].exists()


def test_what_cannot_be_served_is_refused(checkpoint, shapes):
    Path("empty").mkdir()
    Path("text.pth").write_text("no checkpoint")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refusal(serve.main, checkpoint, "--port", port)
    assert said.startswith(f"127.0.0.1 cannot be listened at with port {port} (Address already in use): name")
    assert "(Cannot assign requested address)" in refusal(serve.main, checkpoint, "--host", "192.0.2.1")
    assert refusal(serve.main, checkpoint, "--examples", "none") == "--examples none: there is no such folder"
    assert "there are no images in this folder" in refusal(serve.main, checkpoint, "--examples", "empty")
    assert "text.pth" in refusal(serve.main, "text.pth", "--port", free_port())
    assert "none.pth" in refusal(serve.main, "none.pth", "--port", free_port())
    assert refusal(serve.main, checkpoint, "--device", "gpu", "--port", free_port()).startswith(
        "there is no device"
    )


def test_each_task_has_its_page(segmenter, classifier, monkeypatch):
    pages = []

    def look():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/config") as answer:
            pages.append(answer.read().decode())

    monkeypatch.setattr(serve, "wait", look)
    for checkpoint in (segmenter, classifier):
        port = free_port()
        serve.main([str(checkpoint), "--port", str(port), "--device", "cpu"])
    assert "What the segmenter sees" in pages[0]
    assert "What the classifier says" in pages[1]
    said = refusal(serve.main, segmenter, "--score-thr", "0.5", "--port", free_port())
    assert said == "the checkpoint is for segmentation, which has no --score-thr: leave it out"


def test_a_checkpoint_of_another_config_is_refused(checkpoint):
    said = refusal(serve.main, "mask_rcnn_maxvit_t_coco", checkpoint, "--port", free_port())
    assert "was trained on 4 classes (disk, square, triangle, star), and the config's heads have 80" in said


@pytest.mark.parametrize(
    "words",
    [
        ["w.pth", "photo.jpg"],
        ["w.pth", "--port", "0"],
        ["w.pth", "--score-thr", "0.01"],
        ["w.pth", "--queue", "0"],
        ["w.pth", "--max-mb", "0"],
        ["w.pth", "--max-megapixels", "-1"],
        ["w.pth", "--max-network-megapixels", "0"],
        ["w.pth", "--name", "https://page.example"],
    ],
)
def test_words_that_make_no_sense_show_the_usage(words, capsys):
    assert refusal(serve.main, *words) == "2"
    assert "[CONFIG] CHECKPOINT" in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(
        "maxvit_mm.inference.libraries.find_spec", lambda name: None if name == "gradio" else name
    )
    assert (
        refusal(serve.main, "w.pth") == "predictions in a browser need gradio: pip install 'gradio>=6.31,<7'"
    )
