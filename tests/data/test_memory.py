"""A second check of an unchanged folder looks at nothing again; of a changed one, at what has changed."""

import json

import pytest
from PIL import Image

from maxvit_mm.data import coco_folder
from maxvit_mm.data.coco_folder import DataError, inspect
from maxvit_mm.data.images_on_disk import look_at_all


@pytest.fixture
def looked_at(monkeypatch):
    """The names of the images that are decoded, and of the annotation files that are parsed."""
    names = []

    def look(folder, images, decoder):
        names.extend(images)
        return look_at_all(folder, images, decoder)

    def load(where, file, problems, notes):
        names.append(file.name)
        return coco_folder_load(where, file, problems, notes)

    coco_folder_load = coco_folder.load
    monkeypatch.setattr(coco_folder, "look_at_all", look)
    monkeypatch.setattr(coco_folder, "load", load)
    return names


@pytest.fixture
def fish(tmp_path):
    """A folder with a validation split of two images."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 48, "height": 32} for i in (1, 2)]
    fish = {"image_id": 1, "category_id": 1, "bbox": [2, 2, 10, 10], "area": 100, "iscrowd": 0}
    content = {"images": images, "annotations": [{"id": 1, **fish}], "categories": [{"id": 1, "name": "cod"}]}
    (tmp_path / "images").mkdir()
    (tmp_path / "val.json").write_text(json.dumps(content))
    for image in images:
        Image.new("RGB", (48, 32)).save(tmp_path / "images" / image["file_name"])
    return tmp_path


def check(root):
    return inspect(root, masks=False, names=["val"])


def test_an_unchanged_folder_is_not_looked_at_again(fish, looked_at):
    first = check(fish)
    assert sorted(looked_at) == ["1.png", "2.png", "val.json"]
    looked_at.clear()
    assert check(fish) == first
    assert looked_at == []


def test_an_image_that_has_changed_is(fish, looked_at):
    check(fish)
    looked_at.clear()
    (fish / "images/2.png").write_bytes(b"damaged since")
    with pytest.raises(DataError, match=r"not readable as images.*2\.png"):
        check(fish)
    assert looked_at == ["val.json", "2.png"]


def test_a_changed_annotation_file_is_read_and_the_images_are_remembered(fish, looked_at):
    check(fish)
    looked_at.clear()
    file = fish / "val.json"
    file.write_text(file.read_text().replace("cod", "eel"))
    assert check(fish).classes == ("eel",)
    assert looked_at == ["val.json"]


def test_other_questions_are_asked_anew(fish, looked_at):
    check(fish)
    with pytest.raises(DataError, match="no segmentation"):
        inspect(fish, masks=True, names=["val"])


def test_an_image_that_is_gone_is_missed(fish):
    check(fish)
    (fish / "images/2.png").unlink()
    with pytest.raises(DataError, match=r"missing.*2\.png"):
        check(fish)


def test_a_refusal_is_not_remembered_but_images_are(fish, looked_at):
    with pytest.raises(DataError):
        inspect(fish, masks=True, names=["val"])
    looked_at.clear()
    check(fish)
    assert looked_at == ["val.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}'])
def test_a_damaged_memory_is_no_memory(fish, looked_at, content):
    check(fish)
    cache = coco_folder.Memory(fish / "val.json").file
    cache.write_text(content)
    looked_at.clear()
    check(fish)
    assert sorted(looked_at) == ["1.png", "2.png", "val.json"]


def test_a_place_that_cannot_be_written_only_costs_time(fish, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(fish / "val.json"))  # a file, where a folder should be
    assert check(fish) == check(fish)
