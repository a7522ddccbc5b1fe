"""Folders of classes that must pass, and folders that must not, each with one thing wrong."""

import numpy as np
import pytest
from PIL import Image

from maxvit_mm.data.class_folder import inspect_classes
from maxvit_mm.data.class_listing import ONE_IN, list_split
from maxvit_mm.data.folder import DataError

rng = np.random.default_rng(0)


def image(path, size=(48, 32)):
    """An image like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(path)
    return path


def folder(root, classes=("cat", "dog"), train=3, val=2):
    for split, count in (("train", train), ("val", val)):
        for name in classes:
            for i in range(count):
                image(root / split / name / f"{split[0]}{i}.jpg")
    return root


def refusal(root, **arguments):
    with pytest.raises(DataError) as caught:
        inspect_classes(root, **arguments)
    return str(caught.value)


@pytest.mark.parametrize("val", ["val", "valid"])
def test_folders_of_classes_are_read(tmp_path, val):
    (folder(tmp_path) / "val").rename(tmp_path / val)
    image(tmp_path / "train/dog/more/deep.png", (64, 64))
    found = inspect_classes(tmp_path)
    assert found.classes == ("cat", "dog")
    assert found.splits["train"].per_class == (3, 4)
    assert found.splits["val"].per_class == (2, 2)
    assert (found.splits["val"].width, found.splits["val"].height) == (48, 32)
    assert ("train/dog/more/deep.png", "dog") in list_split(tmp_path, "train").samples


def test_what_was_found_is_said_in_a_table(tmp_path):
    said = inspect_classes(folder(tmp_path)).describe()
    assert "number of classes: 2" in said
    assert "  train          6 images  train/" in said
    assert "images of each class, train / val:" in said
    assert "  cat  3 / 2" in said
    assert "note: train (train/): classes with fewer than 20 images" in said


def test_of_many_classes_only_the_smallest_are_listed(tmp_path):
    names = [f"class{i:03}" for i in range(101)]
    said = inspect_classes(folder(tmp_path, names, train=1, val=1)).describe()
    assert "images of each class, train: 1 to 1; the fewest: class000 1, class001 1" in said
    assert "class100" not in said


def test_one_tree_is_parted_and_says_how(tmp_path):
    for name in ("cat", "dog"):
        for i in range(11):
            image(tmp_path / name / f"{i}.jpg")
    found = inspect_classes(tmp_path)
    assert found.splits["val"].per_class == (3, 3)  # 11 / 5, rounded up
    assert found.splits["train"].per_class == (8, 8)
    said = f"one image in {ONE_IN} is kept for validation, drawn by their names and seed 0"
    assert said in found.describe()
    train, val = (list_split(tmp_path, split).samples for split in ("train", "val"))
    assert len({*train, *val}) == 22
    assert list_split(tmp_path, "val").samples == val
    assert list_split(tmp_path, "val", seed=1).samples != val
    assert list_split(tmp_path, "test") is None


def test_another_image_moves_few_others_to_the_other_side(tmp_path):
    for i in range(20):
        image(tmp_path / "cat" / f"{i}.jpg")
    before = set(list_split(tmp_path, "val").samples)
    image(tmp_path / "cat" / "another.jpg")
    assert len(before - set(list_split(tmp_path, "val").samples)) <= 1


def tiny_imagenet(root):
    """Tiny-ImageNet's own layout, of two classes with three images for training and two for validation."""
    for wnid in ("n02", "n01"):
        for i in range(3):
            image(root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", (64, 64))
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t63\t63\n")
    lines = [f"val_{i}.JPEG\t{wnid}\t0\t0\t63\t63" for i, wnid in enumerate(["n01", "n02", "n02", "n01"])]
    for i in range(4):
        image(root / "val" / "images" / f"val_{i}.JPEG", (64, 64))
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (root / "wnids.txt").write_text("n02\nn01\n")
    (root / "words.txt").write_text("n00\tentity\nn01\tgoldfish, Carassius auratus\nn02\tcrane\nn03\tcrane\n")
    return root


def test_tiny_imagenet_is_read_as_it_is(tmp_path):
    found = inspect_classes(tiny_imagenet(tmp_path))
    assert found.classes == ("goldfish", "crane")
    assert found.splits["train"].per_class == (3, 3)
    assert found.splits["val"].per_class == (2, 2)
    assert dict(list_split(tmp_path, "val").samples)["val/images/val_1.JPEG"] == "crane"


def test_classes_that_one_word_names_keep_their_ids(tmp_path):
    tiny_imagenet(tmp_path)
    for i in range(3):
        image(tmp_path / "train" / "n03" / "images" / f"n03_{i}.JPEG")
    assert inspect_classes(tmp_path).classes == ("goldfish", "crane (n02)", "crane (n03)")


def imagenet(root, lines):
    """ImageNet's own layout: folders to train on, and one folder with a list to validate on."""
    for wnid in ("n02", "n01"):
        for i in range(2):
            image(root / "train" / wnid / f"{wnid}_{i}.JPEG")
    for i in range(3):
        image(root / "val" / f"ILSVRC2012_val_0000000{i}.JPEG")
    (root / "meta").mkdir()
    (root / "meta/val.txt").write_text("".join(f"ILSVRC2012_val_0000000{i}.JPEG {n}\n" for i, n in lines))
    return root


def test_imagenet_is_read_as_it_is(tmp_path):
    found = inspect_classes(imagenet(tmp_path, [(0, 1), (1, 0), (2, 1)]))
    assert found.classes == ("n01", "n02")
    assert found.splits["val"].per_class == (1, 2)


def test_lines_that_point_to_nothing_are_named(tmp_path):
    said = refusal(imagenet(tmp_path, [(0, 1), (1, 7), (8, 0)]))
    assert "lines of meta/val.txt with a class that the training does not have (1): 2 (7)" in said
    assert "lines of meta/val.txt whose image is not in val/ (1): 3 (ILSVRC2012_val_00000008.JPEG)" in said
    assert "images that are of no class" in said


def test_both_splits_may_be_listed_by_numbers(tmp_path):
    for split, count in (("train", 4), ("val", 2)):
        paths = [image(tmp_path / split / f"{split}{i}.jpg").name for i in range(count)]
        (tmp_path / f"{split}.txt").write_text(
            "".join(f"{name} {9 + i % 2}\n" for i, name in enumerate(paths))
        )
    found = inspect_classes(tmp_path)
    assert found.classes == ("9", "10")
    assert found.splits["train"].per_class == (2, 2)


def test_a_test_split_alone_has_classes_of_its_own(tmp_path):
    (folder(tmp_path) / "val").rename(tmp_path / "test")
    for path in sorted((tmp_path / "train").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (tmp_path / "train").rmdir()
    assert inspect_classes(tmp_path, names=["test"]).classes == ("cat", "dog")


def cut_short(root):
    path = root / "train/cat/t0.jpg"
    path.write_bytes(path.read_bytes()[:900])


def no_image(root):
    (root / "val/dog/v0.jpg").write_text("<html>not found</html>")


def same_image(root):
    (root / "val/cat/copy.jpg").write_bytes((root / "train/cat/t1.jpg").read_bytes())


def empty_class(root):
    (root / "train/bird").mkdir()


def other_case(root):
    (root / "val/dog").rename(root / "val/Dog")


def loose_image(root):
    image(root / "train/lost.jpg")


def no_val(root):
    (root / "val").rename(root / "evaluation")


def nothing(root):
    for path in (root / "val").rglob("*.jpg"):
        path.rename(path.with_suffix(".heic"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_short, "train (train/): files that are damaged or cut short: copy or download them again (1): "
                    "train/cat/t0.jpg"),
        (no_image, "val (val/): files that are not readable as images by cv2, which training uses: write "
                   "them as JPEG or PNG (1): val/dog/v0.jpg"),
        (same_image, "train and val: images in both, the same byte by byte: scores would say little; remove "
                     "one of each (1): train/cat/t1.jpg = val/cat/copy.jpg"),
        (empty_class, "folders of classes without an image; remove them, or put images into them (1): bird"),
        (other_case, "classes that the training does not have, so that nothing is learnt of them (1): Dog; "
                     "is it dog?"),
        (loose_image, "images that are of no class; move each into its class's folder (1): train/lost.jpg"),
        (no_val, "val: no folder val/ or valid/ or validation/; there is evaluation/, train/. Lay images out "
                 "as train/CLASS/*.jpg and val/CLASS/*.jpg"),
        (nothing, "val (val/): no image was found (.jpg, .jpeg, "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_each_fault_is_refused_by_name(tmp_path, spoil, said):
    spoil(folder(tmp_path))
    assert said in refusal(tmp_path)


def test_one_class_is_refused(tmp_path):
    assert "there is one class alone, cat: a classifier tells classes apart" in refusal(
        folder(tmp_path, ["cat"])
    )


def test_everything_that_is_wrong_is_in_one_message(tmp_path):
    folder(tmp_path)
    for spoil in (cut_short, no_image, same_image, empty_class, loose_image):
        spoil(tmp_path)
    assert refusal(tmp_path).count("\n  - ") == 5


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert "is not a folder; name the one that holds train/CLASS/*.jpg" in refusal(tmp_path / "none")


def test_what_is_odd_but_can_be_trained_on_is_noted(tmp_path):
    folder(tmp_path, ("cat", "dog", "hen"))
    for path in (tmp_path / "val/hen").iterdir():
        path.unlink()
    (tmp_path / "val/hen").rmdir()
    (tmp_path / "train/dog/torn.jpg").write_bytes((tmp_path / "train/cat/t0.jpg").read_bytes())
    (tmp_path / "train/dog/list.csv").write_text("1,2")
    (tmp_path / "train/.cache").mkdir()
    notes = "\n".join(inspect_classes(tmp_path).notes)
    assert "val (val/): classes without an image here, learnt but not evaluated (1): hen" in notes
    assert (
        "images that are of two classes, the same byte by byte (1): train/cat/t0.jpg = train/dog/to" in notes
    )
    assert "files that are no images, passed over (1): train/dog/list.csv" in notes


def test_an_unchanged_folder_is_not_decoded_again(tmp_path, monkeypatch):
    inspect_classes(folder(tmp_path))
    looked = []
    monkeypatch.setattr(
        "maxvit_mm.data.class_checks.look_at_all", lambda root, names, decoder: looked.extend(names) or {}
    )
    before = inspect_classes(tmp_path)
    assert looked == []
    image(tmp_path / "val/dog/new.jpg")
    monkeypatch.undo()
    assert inspect_classes(tmp_path).splits["val"].images == before.splits["val"].images + 1


def test_some_classes_alone_in_an_order_of_ones_own(tmp_path):
    found = inspect_classes(folder(tmp_path, ("cat", "dog", "hen"))).only(["hen", "cat"])
    assert found.classes == ("hen", "cat")
    assert found.splits["train"].images == 6
    for names, said in (["cat"], "name another"), (["cat", "cow"], "no class cow"), (["cat", "cat"], "twice"):
        with pytest.raises(DataError, match=said):
            found.only(names)


@pytest.mark.parametrize(
    "folders",
    [("annotations", "train2017", "val2017"), ("train2017", "val2017"), ("train/images", "train/masks")],
)
def test_the_folders_of_another_tasks_data_are_no_classes(folders, tmp_path):
    for number, folder in enumerate(folders):
        (tmp_path / folder).mkdir(parents=True)
        for image in range(6):
            Image.new("RGB", (40, 40), (10 * number, 10 * image, 0)).save(tmp_path / folder / f"{image}.png")
    with pytest.raises(DataError, match="called as parts of a data set for detectors or segmenters"):
        inspect_classes(tmp_path)
