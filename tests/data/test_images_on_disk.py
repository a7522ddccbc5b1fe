"""Images as training will decode them: what cannot be, or would be another image."""

import time
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from maxvit_mm.data import images_on_disk
from maxvit_mm.data.images_on_disk import Decoder, Seen, look_at, look_at_all, stamps

PIXELS = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
PHOTO = Image.fromarray(PIXELS)


def encoded(kind, image=PHOTO, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def seen(tmp_path, content, **decoder) -> Seen:
    (tmp_path / "image").write_bytes(content)
    return look_at(tmp_path / "image", Decoder(**decoder))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_a_whole_image_has_its_size_and_no_fault(tmp_path, kind):
    assert seen(tmp_path, encoded(kind))[:4] == (60, 40, "", "")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_an_image_that_was_cut_short_is_a_fault(tmp_path, kind, share):
    content = encoded(kind)
    fault = seen(tmp_path, content[: int(len(content) * share)]).fault
    assert "damaged or cut short" in fault or "not readable as images by cv2" in fault


def test_a_changed_byte_in_a_png_is_a_fault(tmp_path):
    content = bytearray(encoded("PNG"))
    content[len(content) // 2] ^= 0xFF
    assert seen(tmp_path, bytes(content)).fault


@pytest.mark.parametrize("content", [b"", b"a web page", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_image_is_a_fault(tmp_path, content):
    assert seen(tmp_path, content).fault


def test_a_format_that_only_the_other_library_knows_is_named(tmp_path):
    fault = seen(tmp_path, encoded("PCX")).fault
    assert "not readable as images by cv2" in fault
    assert "Pillow knows them as PCX: write them as JPEG or PNG" in fault
    assert seen(tmp_path, encoded("PCX"), backend="pillow")[:4] == (60, 40, "", "")


@pytest.mark.parametrize(
    "content", [b"\0\0\0\x18ftypheic" + bytes(99), b"<svg/>", b"version https://git-lfs"]
)
def test_what_neither_library_knows_is_to_be_written_anew(tmp_path, content):
    assert "which training uses: write them as JPEG or PNG" in seen(tmp_path, content).fault


def test_a_png_with_too_little_data_is_damaged_whatever_its_checksums_say(tmp_path):
    short = zlib.compress(bytes(99))
    content = encoded("PNG")
    start = content.index(b"IDAT")
    chunk = b"IDAT" + short
    checked = len(short).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    assert "damaged or cut short" in seen(tmp_path, content[: start - 4] + checked + content[-12:]).fault


def test_broken_exif_data_raise_no_warning(tmp_path, recwarn):
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"))
    assert look_at_all(tmp_path, ["a.jpg"], Decoder())["a.jpg"][:4] == (60, 40, "", "")
    assert not recwarn.list


def test_an_image_beyond_opencvs_bounds_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("maxvit_mm.data.images_on_disk.OPENCV_SIDE", 59)
    assert "more pixels than OpenCV reads" in seen(tmp_path, encoded("PNG")).fault


def deep(values) -> bytes:
    return cv2.imencode(".png", values.astype(np.uint16))[1].tobytes()


def test_twelve_bits_in_sixteen_would_be_crushed(tmp_path):
    crushed = seen(tmp_path, deep(PIXELS[..., 0].astype(int) * 16)).fault
    assert "hold 16-bit values up to 4064, of which training would keep 16 levels" in crushed
    assert (
        seen(tmp_path, deep(PIXELS.astype(int) * 16)).fault == crushed
    )  # colour, which Pillow shows in 8 bits


def test_sixteen_bits_that_are_used_are_a_remark(tmp_path):
    found = seen(tmp_path, deep(PIXELS.astype(int) * 257))
    assert not found.fault
    assert "training keeps the upper 8 bits" in found.remark


def test_floats_are_a_fault(tmp_path):
    image = Image.fromarray(PIXELS[..., 0].astype(np.float32) / 255)
    assert "float32 values, which training would clip" in seen(tmp_path, encoded("TIFF", image)).fault


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_further_frames_are_a_remark(tmp_path, kind):
    content = encoded(kind, save_all=True, append_images=[PHOTO.rotate(90)])
    assert "several frames, of which the first alone" in seen(tmp_path, content).remark


def test_colours_beneath_transparent_pixels_are_a_remark(tmp_path):
    image = PHOTO.convert("RGBA")
    assert seen(tmp_path, encoded("PNG", image)).remark == ""
    image.putalpha(100)
    assert "transparent in part" in seen(tmp_path, encoded("PNG", image)).remark


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(images_on_disk, "LARGE", 10)
    at_once, most = [], []
    decode = images_on_disk.decoded

    def watched(content, decoder):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.01)
        at_once.pop()
        return decode(content, decoder)

    monkeypatch.setattr(images_on_disk, "decoded", watched)
    for name in "abcd":
        (tmp_path / name).write_bytes(encoded("PNG"))
    assert {found[:4] for found in look_at_all(tmp_path, list("abcd"), Decoder()).values()} == {
        (60, 40, "", "")
    }
    assert max(most) == 1


def test_many_are_looked_at_by_name(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(encoded("PNG"))
    (tmp_path / "c.png").write_bytes(b"no image")
    found = look_at_all(tmp_path, ["a.png", "b.png", "c.png"], Decoder())
    assert found["a.png"] == found["b.png"]
    assert found["a.png"][:4] == (60, 40, "", "")
    assert found["c.png"].fault


def test_a_stamp_changes_with_the_file(tmp_path):
    (tmp_path / "day").mkdir()
    file = tmp_path / "day/a.png"
    file.write_bytes(b"one")
    before = stamps(tmp_path, ["day/a.png", "day/b.png", "night/c.png"])
    assert before.keys() == {"day/a.png"}
    file.write_bytes(b"other")
    assert stamps(tmp_path, ["day/a.png"]) != before


def test_a_file_that_is_a_program_is_not_run_to_see_whether_it_is_whole(monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: pytest.fail("it was run"))
    file = BytesIO()
    Image.new("RGB", (40, 40)).save(file, "EPS")
    assert images_on_disk.header(file.getvalue()) == ("EPS", "RGB", (40, 40), 1, True)
