"""Folders of images and label images: which are read, as what, and what is said of those that cannot be."""

import json
from itertools import count

import numpy as np
import pytest
from PIL import Image

from maxvit_mm.data.folder import DataError
from maxvit_mm.data.label_folder import inspect_labels
from maxvit_mm.data.label_pairs import find_pairs
from maxvit_mm.data.semantic_map import labels_of

SIZE = (48, 40)  # width and height
NUMBERS = count()
VOC_PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0] + 252 * [224, 224, 192]


def picture(path, size=SIZE):
    """Of a colour like that of no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = next(NUMBERS)
    Image.new("RGB", size, (37 * number % 256, 91 * number % 256, 30)).save(path)


def label_map(path, values, mode="L", **options):
    """A label image of vertical bars, one a value: numbers, or colours with mode RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bars = np.repeat(np.asarray(values), -(-SIZE[0] // len(values)), axis=0)[: SIZE[0]]
    tile = np.broadcast_to(bars, (SIZE[1], *bars.shape))
    if mode == "I;16":
        image = Image.fromarray(np.ascontiguousarray(tile, np.uint16))
    else:
        image = Image.fromarray(np.ascontiguousarray(tile, np.uint8))
    if mode == "P":
        image.putpalette(VOC_PALETTE)
    assert image.mode == mode
    image.save(path, **options)


def fill(root, train=([0, 1], [1, 2]), val=([0, 1, 2],), places=("images/{}", "annotations/{}"), **how):
    """A folder with an image for each list of values."""
    for split, maps in (("train", train), ("val", val)):
        images, labels = (root / place.format(split) for place in places)
        for number, values in enumerate(maps):
            picture(images / f"{number}.jpg")
            label_map(labels / f"{number}.png", values, **how)
    return root


def refusal(root, **arguments):
    with pytest.raises(DataError) as error:
        inspect_labels(root, **arguments)
    return str(error.value)


@pytest.mark.parametrize(
    "places",
    [
        ("images/{}", "annotations/{}"),
        ("images/{}", "labels/{}"),
        ("images/{}", "masks/{}"),
        ("img_dir/{}", "ann_dir/{}"),
        ("{}/images", "{}/masks"),
        ("{}", "{}_labels"),
        ("{}", "{}annot"),
    ],
)
def test_the_usual_folders_are_found(tmp_path, places):
    folder = inspect_labels(fill(tmp_path, places=places))
    assert folder.classes == ("class 0", "class 1", "class 2")
    assert {name: split.images for name, split in folder.splits.items()} == {"train": 2, "val": 1}


def test_long_names_of_splits_and_endings_of_label_images_are_known(tmp_path):
    for split in ("training", "validation"):
        picture(tmp_path / "images" / split / "street.jpg")
        label_map(tmp_path / "labels" / split / "street_L.png", [0, 1])
    assert find_pairs(tmp_path, "val").of == {"street.jpg": "street_L.png"}
    assert inspect_labels(tmp_path).splits["train"].images == 1


def test_ade20k_as_it_is_unpacked(tmp_path):
    """0 stands for nothing, and objectInfo150.txt names the numbers from 1 on."""
    for split in ("training", "validation"):
        picture(tmp_path / "images" / split / f"ADE_{split}_1.jpg")
        label_map(tmp_path / "annotations" / split / f"ADE_{split}_1.png", [0, 1, 2, 2])
    rows = ["Idx\tRatio\tTrain\tVal\tName", "1\t0.2\t9\t9\twall", "2\t0.1\t9\t9\tbuilding, edifice"]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(rows))
    folder = inspect_labels(tmp_path)
    assert folder.classes == ("wall", "building")
    assert folder.legend.keys == [1, 2]
    assert folder.splits["train"].per_class == (480, 960)
    assert "25.0% of the pixels are nothing, neither learnt nor evaluated: 0, 255" in folder.describe()


@pytest.fixture
def voc(tmp_path):
    """PASCAL VOC's layout: palettes, lists of names, and images that no list names."""
    for name in ("2007_000032", "2007_000033", "2007_000999"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
    for name in ("2007_000032", "2007_000033"):
        label_map(tmp_path / "SegmentationClass" / f"{name}.png", [0, 3, 1, 255], mode="P")
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n")
    (lists / "val.txt").write_text("2007_000033\n\n")
    return tmp_path


def test_voc_as_it_is_unpacked(voc):
    names = ("background", "aeroplane", "bicycle", "bird")
    folder = inspect_labels(voc, own=dict(enumerate(names)))
    assert folder.classes == names
    assert folder.splits["val"].per_class == (480, 480, 0, 480)
    assert folder.splits["val"].nothing == 480
    assert "classes of which there is no pixel, and which are never learnt (1): bicycle" in str(folder.notes)


def test_a_palette_is_read_by_its_numbers_or_with_a_legend_of_colours_by_its_colours(voc):
    content = (voc / "SegmentationClass/2007_000032.png").read_bytes()
    assert np.unique(labels_of(content, [0, 3, 1])[0]).tolist() == [0, 1, 2, 255]
    colours = "# label:color_rgb:parts:actions\nsky:128,128,0::\nrest:0,0,0::\nboat:128,0,0::\n"
    (voc / "labelmap.txt").write_text(colours + ":0,0,0::\n")
    assert "labelmap.txt: has numbers or colours twice" in refusal(voc)
    (voc / "labelmap.txt").write_text(colours)
    said = refusal(voc)
    assert "train (SegmentationClass): values without a class, of the 3 that labelmap.txt names: a" in said
    (voc / "labelmap.txt").write_text(colours + ":224,224,192::\n")  # the rim, which is nothing
    folder = inspect_labels(voc)
    assert folder.classes == ("sky", "rest", "boat")
    content = (voc / "SegmentationClass/2007_000032.png").read_bytes()
    assert labels_of(content, folder.legend.keys)[0, ::12].tolist() == [1, 0, 2, 255]


def test_a_name_in_a_list_without_an_image(voc):
    (voc / "ImageSets/Segmentation/val.txt").write_text("2007_000033\n2008_000001\n")
    said = refusal(voc, own=dict(enumerate("abcd")))
    assert "names in val.txt without an image in JPEGImages (1): 2008_000001" in said


@pytest.mark.parametrize(
    ("file", "content", "classes", "keys"),
    [
        ("classes.txt", "sky\nroad\ncar\n", ("sky", "road", "car"), [0, 1, 2]),
        ("classes.txt", "\nroad\ncar\n", ("road", "car"), [1, 2]),
        ("classes.json", '["sky", "road", "car"]', ("sky", "road", "car"), [0, 1, 2]),
        ("classes.json", '{"2": "car", "0": "sky", "1": null}', ("sky", "car"), [0, 2]),
        ("classes.json", '{"car": 2, "sky": 0, "road": 1}', ("sky", "road", "car"), [0, 1, 2]),
    ],
)
def test_names_of_numbers(tmp_path, file, content, classes, keys):
    (fill(tmp_path) / file).write_text(content)
    folder = inspect_labels(tmp_path)
    assert folder.classes == classes
    assert folder.legend.keys == keys


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("labelmap.txt", "# label:color_rgb:parts:actions\nroad:128,64,128::\ncar:0,0,142::\n"),
        ("class_dict.csv", "name,r,g,b\nroad,128,64,128\ncar,0,0,142\n"),
        ("classes.json", '{"road": [128, 64, 128], "car": [0, 0, 142]}'),
    ],
)
def test_colours_with_a_legend(tmp_path, file, content):
    road, car = [128, 64, 128], [0, 0, 142]
    fill(tmp_path, train=([road, car],), val=([car, road],), mode="RGB")
    (tmp_path / file).write_text(content)
    folder = inspect_labels(tmp_path)
    assert folder.classes == ("road", "car")
    labels = labels_of((tmp_path / "annotations/val/0.png").read_bytes(), folder.legend.keys)
    assert labels[0, ::24].tolist() == [1, 0]


def test_black_and_white_masks_are_two_classes_once_both_are_named(tmp_path):
    fill(tmp_path, train=([0, 255],), val=([255, 0],))
    said = refusal(tmp_path)
    assert "one class alone, number 0: 0 and 255 stand for nothing where they have no name" in said
    example = '{"0": "background", "255": "object"}'
    assert example in said
    (tmp_path / "classes.json").write_text(example)
    assert inspect_labels(tmp_path).classes == ("background", "object")


def test_without_names_a_split_has_the_classes_of_all(tmp_path):
    fill(tmp_path, train=([0, 1, 2],), val=([2, 2],))
    for names in (["train", "val"], ["val"]):
        folder = inspect_labels(tmp_path, names)
        assert folder.classes == ("class 0", "class 1", "class 2")
        assert list(folder.splits) == names


def test_label_images_of_nothing_are_refused(tmp_path):
    assert "label images hold 255 alone" in refusal(fill(tmp_path, train=([255, 255],), val=([255, 255],)))


def test_numbers_are_told_from_a_grey_picture_of_three_channels(tmp_path):
    fill(tmp_path, train=([[0] * 3, [1] * 3],), val=([[1] * 3, [0] * 3],), mode="RGB")
    assert inspect_labels(tmp_path).classes == ("class 0", "class 1")


def test_sixteen_bits_are_read_where_they_hold_class_numbers(tmp_path):
    fill(tmp_path, mode="I;16")
    assert inspect_labels(tmp_path).classes == ("class 0", "class 1", "class 2")
    label_map(tmp_path / "annotations/val/0.png", [0, 1, 26000], mode="I;16")
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    said = refusal(tmp_path)
    assert (
        "val (annotations): label images of 16 bits with numbers up to 26000, such as those of instances"
        in said
    )


def test_everything_that_is_wrong_is_in_one_message(tmp_path):
    """Each mistake once, named, with the way to mend it."""
    fill(tmp_path, train=([0, 1],) * 8)
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    train, maps = tmp_path / "images/train", tmp_path / "annotations/train"
    label_map(maps / "0.png", [0, 7])
    label_map(maps / "1.png", [[9, 8, 7], [1, 2, 3]], mode="RGB")
    picture(train / "2.jpg", SIZE[::-1])
    (train / "3.jpg").unlink()
    (maps / "4.png").unlink()
    (maps / "5.png").unlink()
    label_map(maps / "5.jpg", [0, 1])
    (train / "6.jpg").write_bytes((train / "6.jpg").read_bytes()[:-60])
    (maps / "7.png").write_bytes(b"no image")
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path} cannot be used as it is:\n  - ")
    for sentence in (
        "train (annotations): label images without an image of that name in",
        "(1): 3.png",
        "train (annotations): images without a label image, NAME.png in",
        "(1): 4.jpg",
        "train (annotations): files that are not readable as images by cv2, which training uses: write them "
        "as JPEG or PNG (1): 6.jpg",
        "train (annotations): label images that are JPEG, which smears the numbers of neighbouring pixels",
        "(1): 5.jpg",
        "train (annotations): label images that are no images (1): 7.png",
        "train (annotations): label images of another size than their image: width and height are exchanged",
        "2.png (48x40, its image 40x48)",
        "train (annotations): label images of colours, without a legend",
        "Write labelmap.txt beside the images, a line for each of the 2 colours: NAME:",
        "train (annotations): values without a class, of the 2 that classes.txt names: name them there, or "
        "write 255 for nothing (1): 7 in 0.png",
        "val (annotations): values without a class, of the 2 that classes.txt names; numbers begin with 0. "
        "If 0 stands for nothing here, as in ADE20K, let the first line of classes.txt be empty (1): 2 in 0",
    ):
        assert sentence in said


@pytest.mark.parametrize("places", [("images/{}", "labels/{}"), ("{}", "{}_labels")])
def test_an_image_of_the_training_among_those_of_the_validation_is_noted(tmp_path, places):
    fill(tmp_path, places=places)
    (train, _), (val, _) = ([place.format(split) for place in places] for split in ("train", "val"))
    (tmp_path / val / "0.jpg").write_bytes((tmp_path / train / "1.jpg").read_bytes())
    assert (
        "train and val: images in both, the same byte by byte: scores would say little; remove one of each "
        f"(1): {train}/1.jpg = {val}/0.jpg"
    ) in inspect_labels(tmp_path).notes
    assert inspect_labels(tmp_path, ["val"]).splits["val"].images == 1


def test_a_name_that_two_lists_have_is_noted(voc):
    (voc / "ImageSets/Segmentation/val.txt").write_text("2007_000033\n2007_000032\n")
    notes = "\n".join(inspect_labels(voc, own=dict(enumerate("abcd"))).notes)
    assert "scores would say little; take each out of one of the two (1): JPEGImages/2007_000032.jpg" in notes


def test_a_palette_that_was_turned_to_grey_is_not_taken_for_numbers(tmp_path):
    said = refusal(fill(tmp_path, train=([0, 38, 75],), val=([0, 113],)))
    assert (
        "numbers 0, 38, 75, 113, which do not count from 0 or 1 on: a palette or colours that were turned"
        in said
    )
    assert 'classes.json, {"0": "NAME", ...}' in said


def test_a_smeared_label_image_is_named_as_such(tmp_path):
    (fill(tmp_path, train=(list(range(0, 240, 10)),)) / "classes.txt").write_text("a\nb\nc\n")
    assert "so many come of scaling, compressing or making grey: make the label images anew" in refusal(
        tmp_path
    )


def test_splits_that_are_not_there_or_empty(tmp_path):
    said = refusal(tmp_path)
    assert "train: no images with label images. Looked for images/train with annotations/train," in said
    assert "JPEGImages with SegmentationClass and ImageSets/Segmentation/train.txt" in said
    for folder in ("images/val", "labels/val"):
        (tmp_path / folder).mkdir(parents=True)
    assert "val (labels): empty, no image in" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("labelmap.txt", "sky:1,2\n", "line 1 is not name:red,green,blue, three numbers of 0 to 255"),
        ("labelmap.txt", "sky:1,2,300::\n", "neither numbers of 0 to 65535 nor colours of three, 0 to 255"),
        ("classes.txt", "a\na\n", "has names twice: a"),
        ("classes.txt", "\n\n", "names no class"),
        ("classes.json", "[1, 2]", "has names that are no texts"),
        ("classes.json", '{"a": 1, "b": [1, 2, 3]}', "has colours and numbers"),
        ("classes.json", '{"a": "b"}', 'is neither "NUMBER": "NAME" nor "NAME": NUMBER'),
        ("classes.json", "{", "Expecting property name"),
        ("classes.json", json.dumps([str(i) for i in range(256)]), "255 at most"),
    ],
)
def test_a_legend_that_cannot_be_read_is_said_to_be(tmp_path, file, content, said):
    (fill(tmp_path) / file).write_text(content)
    assert f"{file}: " in refusal(tmp_path)
    assert said in refusal(tmp_path)


def test_some_of_the_classes(tmp_path):
    (fill(tmp_path) / "classes.txt").write_text("sky\nroad\ncar\n")
    folder = inspect_labels(tmp_path).only(["car", "sky"])
    assert folder.classes == ("car", "sky")
    assert folder.legend.keys == [2, 0]
    assert folder.splits["train"].per_class == (960, 960)
    assert folder.splits["train"].nothing == 1920
    with pytest.raises(DataError, match="has no class boat; its classes are sky, road, car"):
        inspect_labels(tmp_path).only(["boat", "sky"])
    with pytest.raises(DataError, match="car alone: all other pixels would be nothing"):
        inspect_labels(tmp_path).only(["car"])


def test_an_unchanged_folder_is_not_opened_again_and_a_changed_file_is(tmp_path, monkeypatch):
    fill(tmp_path)
    first = inspect_labels(tmp_path)
    opened = []
    monkeypatch.setattr(
        "maxvit_mm.data.label_split.look_at_label", lambda file, _: opened.append(file.name) or None
    )
    assert inspect_labels(tmp_path) == first
    assert opened == []
    monkeypatch.undo()
    label_map(tmp_path / "annotations/val/0.png", [0, 1, 2, 3])
    assert inspect_labels(tmp_path).classes == ("class 0", "class 1", "class 2", "class 3")
