"""Folders that must pass, and folders that must not, each with one thing wrong."""

import json
from zlib import crc32

import mmcv
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from PIL import Image
from pycocotools import mask as rle

from maxvit_mm.data.coco_folder import DataError, inspect
from maxvit_mm.data.left_out import Filter

SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


def coco(prefix="a"):
    """Two 48x32 images; a cat in each, and a dog in the second."""
    files = [f"{prefix}1.jpg", f"{prefix}2.jpg"]
    images = [{"id": i, "file_name": name, "width": 48, "height": 32} for i, name in enumerate(files, 1)]
    square = {"bbox": [2, 2, 10, 10], "area": 100, "iscrowd": 0, "segmentation": SQUARE}
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 7, **square},
        {"id": 2, "image_id": 2, "category_id": 7, **square},
        {"id": 3, "image_id": 2, "category_id": 3, **square},
    ]
    categories = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def write(root, file, folder, content):
    """The annotation file and the images that it lists, each of a colour of its own."""
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(content))
    for image in content["images"]:
        path = root / folder / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        red, green, blue, _ = crc32(image["file_name"].encode()).to_bytes(4, "big")
        Image.new("RGB", (48, 32), (red, green, blue)).save(path)


def folder(root, train=None, val=None):
    """A folder in COCO's own layout; the name of an image begins with its split's letter."""
    for split, content in (("train", train or coco("t")), ("val", val or coco("v"))):
        write(root, f"annotations/instances_{split}2017.json", f"{split}2017", content)
    return root


def refusal(root, masks=True, **kwargs):
    with pytest.raises(DataError) as caught:
        inspect(root, masks, **kwargs)
    return str(caught.value)


LAYOUTS = {
    "COCO's own": ("annotations/instances_{}2017.json", "{}2017"),
    "COCO without a year": ("annotations/instances_{}.json", "{}"),
    "one folder of images": ("annotations/instances_{}.json", "images"),
    "plain annotations": ("annotations/{}.json", "images/{}"),
    "years inside images": ("annotations/{}.json", "images/{}2017"),
    "files at the root": ("{}.json", "."),
    "instances at the root": ("instances_{}.json", "{}"),
    "Roboflow": ("{}/_annotations.coco.json", "{}"),
    "a file beside its images": ("{}/annotations.json", "{}"),
    "images beside annotations": ("annotations/{}.json", "annotations"),
}


@pytest.mark.parametrize("val", ["val", "valid"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found(tmp_path, layout, val):
    file, images = LAYOUTS[layout]
    write(tmp_path, file.format("train"), images.format("train"), coco("t"))
    write(tmp_path, file.format(val), images.format(val), coco("v"))

    found = inspect(tmp_path, masks=True)

    assert found.classes == ("cat", "dog")
    assert found.splits["val"].annotation_file == tmp_path / file.format(val)
    assert found.splits["train"].image_folder == tmp_path / images.format("train")
    assert [(s.images, s.instances, s.per_class) for s in found.splits.values()] == [(2, 3, (2, 1))] * 2


def test_the_image_folder_is_the_one_that_holds_most_of_the_images(tmp_path):
    folder(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "train2017" / "t1.jpg").rename(tmp_path / "train" / "t1.jpg")
    (tmp_path / "train2017" / "t2.jpg").rename(tmp_path / "train" / "t2.jpg")
    assert inspect(tmp_path, masks=True).splits["train"].image_folder == tmp_path / "train"


def test_file_names_may_contain_folders(tmp_path):
    folder(tmp_path, train=coco("day/camera/"))
    assert inspect(tmp_path, masks=True).splits["train"].images == 2


def test_testing_needs_no_train_split(tmp_path):
    write(tmp_path, "val.json", "images", coco())
    assert list(inspect(tmp_path, masks=True, names=["val"]).splits) == ["val"]
    message = refusal(tmp_path)
    assert "train: no annotation file. Write annotations/instances_train.json, and its images into" in message
    assert "looked for annotations/instances_train2017.json" in message


def test_an_annotation_file_of_another_name_is_pointed_at(tmp_path):
    file = folder(tmp_path) / "annotations/instances_val2017.json"
    file.rename(file.with_name("instances_default.json"))
    said = refusal(tmp_path)
    assert "; there is annotations/instances_default.json: rename what is the split's" in said
    assert "instances_train2017.json: rename" not in said


def test_the_table_gives_counts_for_every_split_and_class(tmp_path):
    table = inspect(folder(tmp_path), masks=True).describe()
    assert "2 images        3 instances  annotations/instances_train2017.json" in table
    assert "cat  2 / 2" in table
    assert "dog  1 / 1" in table


def test_eighty_classes_stay_within_the_width(tmp_path):
    content = coco()
    content["categories"] += [{"id": 100 + i, "name": f"class number {i}"} for i in range(78)]
    table = inspect(folder(tmp_path, content, content), masks=True).describe(width=100)
    lines = [line for line in table.splitlines() if "class number" in line and "note" not in line]
    assert len(lines) < 30
    assert max(map(len, lines)) <= 100


def test_a_missing_folder_is_named(tmp_path):
    assert "nowhere is not a folder" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"images": [', "not JSON, or cut short"),
        ("[]", "it has no list images, categories, annotations"),
        ('{"images": [], "annotations": {}}', "it has no list categories, annotations"),
        ('{"images": [], "annotations": [], "categories": []}', "empty, its list of images"),
    ],
)
def test_what_is_no_annotation_file_is_refused(tmp_path, text, said):
    (folder(tmp_path) / "annotations/instances_val2017.json").write_text(text)
    assert said in refusal(tmp_path)
    assert "val (annotations/instances_val2017.json)" in refusal(tmp_path)


HUGE = 10**400  # JSON has whole numbers of any length
ROWS = {"size": [32, 48], "counts": [48 * 2 + 2, *[10, 38] * 9, 10, 1000]}
ROWS["counts"][-1] += 32 * 48 - sum(ROWS["counts"])
RUNS = {"size": [32, 48], "counts": [100, 20, 32 * 48 - 120]}
CUT = {
    "size": [32, 48],
    "counts": rle.encode(np.eye(32, 48, dtype=np.uint8, order="F"))["counts"].decode()[:-3],
}

# The list, the place in it, what it is changed to; None takes the key away. What must be said.
FAULTS = {
    "image id twice": ("images", 1, {"id": 1}, "their 'id' with another; list each once (1): 1"),
    "file name twice": ("images", 1, {"file_name": "v1.jpg"}, "share their 'file_name'"),
    "annotation id twice": ("annotations", 1, {"id": 1}, "annotations that share their 'id'"),
    "class twice": ("categories", 1, {"name": "cat"}, "merge them or name them apart (1): cat"),
    "unknown image": ("annotations", 0, {"image_id": 9}, "not among the images (1): 1 (9)"),
    "unknown class": ("annotations", 0, {"category_id": 9}, "not among the categories (1): 1 (9)"),
    "no file name": ("images", 0, {"file_name": None}, "'file_name' is not a name (1): 1"),
    "no width": ("images", 0, {"width": None}, "'width' is not a whole number of pixels above 0 (1): v1"),
    "other size": ("images", 0, {"width": 32}, "(1): v1.jpg (48x32, stated 32x32)"),
    "no box": ("annotations", 0, {"bbox": None}, "'bbox' is not [x, y, width, height]"),
    "three numbers": ("annotations", 0, {"bbox": [1, 2, 3]}, "'bbox' is not"),
    "text in a box": ("annotations", 0, {"bbox": [1, 2, 3, "4"]}, "'bbox' is not"),
    "not a number": ("annotations", 0, {"bbox": [1, 2, 3, float("nan")]}, "'bbox' is not"),
    "negative width": ("annotations", 0, {"bbox": [9, 9, -3, 3]}, "'bbox' is not"),
    "box outside": ("annotations", 2, {"bbox": [45, 2, 9, 9]}, "3 in v2.jpg (48x32) [45, 2, 9, 9]"),
    "text for an area": ("annotations", 0, {"area": "100"}, "'area' is not a number of square pixels; leave"),
    "text for a flag": ("annotations", 0, {"iscrowd": "0"}, "'iscrowd' is not 0 or 1; text and"),
    "another flag as text": ("annotations", 0, {"ignore": "false"}, "'ignore' is not 0 or 1; text and"),
    "a truth for an id": ("annotations", 0, {"id": True}, "text, null and true are none (1): True"),
    "half an id": ("images", 0, {"id": 1.5}, "'id' is not a whole number, such as 7;"),
    "mask beside its box": ("annotations", 0, {"bbox": [20, 2, 10, 10]}, "less than half lies in their"),
    "corners for a box": ("annotations", 0, {"bbox": [30, 20, 40, 30]}, "that reach outside"),
    "no mask": ("annotations", 0, {"segmentation": None}, "have no segmentation, though"),
    "two points": ("annotations", 0, {"segmentation": [[1, 2, 3, 4]]}, "x3, y3]: leave it out (1)"),
    "pairs of numbers as text": ("annotations", 0, {"segmentation": [["1", "2"]]}, "neither polygons"),
    "text for polygons": ("annotations", 0, {"segmentation": "[[1, 2]]"}, "neither polygons"),
    "truths for polygons": ("annotations", 0, {"segmentation": [[True] * 6]}, "neither polygons"),
    "a mask beyond doubles": ("annotations", 0, {"segmentation": [[1.5, 2, 3, 4, 5, HUGE]]}, "neither"),
    "a box beyond doubles": ("annotations", 0, {"bbox": [1, 2, 3, HUGE]}, "'bbox' is not"),
    "an id beyond doubles": ("annotations", 0, {"id": HUGE}, "'id' is not a whole number"),
    "an area beyond doubles": ("annotations", 0, {"area": HUGE}, "'area' is not a number"),
    "runs along rows": ("annotations", 0, {"segmentation": ROWS}, "begin with the background and go"),
    "half a point": ("annotations", 0, {"segmentation": [[1] * 7]}, "neither polygons nor run"),
    "flat polygon": ("annotations", 0, {"segmentation": SQUARE[0]}, "neither polygons nor run"),
    "polygon outside": ("annotations", 0, {"segmentation": [[0, 0, 9, 0, 9, 35]]}, "reaches out"),
    "runs of another size": ("annotations", 0, {"segmentation": {**RUNS, "size": []}}, "'size'"),
    "small image": ("images", 0, {"height": 31}, "under 32 pixels, which MaxViT cannot take"),
    "negative runs": ("annotations", 0, {"segmentation": {**RUNS, "counts": [-9, 1545]}}, "neither"),
    "no digits": ("annotations", 0, {"segmentation": {**RUNS, "counts": "zzzz~~~"}}, "neither"),
    "compressed, cut short": ("annotations", 0, {"segmentation": CUT}, "not add up"),
    "runs too short": ("annotations", 0, {"segmentation": {**RUNS, "counts": [9]}}, "not add up"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_refused_by_name(tmp_path, fault):
    kind, place, change, said = FAULTS[fault]
    content = coco("v")
    folder(tmp_path, val=content)
    entry = content[kind][place] | change
    content[kind][place] = {key: value for key, value in entry.items() if value is not None}
    (tmp_path / "annotations/instances_val2017.json").write_text(json.dumps(content))

    message = refusal(tmp_path)

    assert said in message
    assert "- train" not in message


def test_missing_images_are_counted_and_the_first_five_named(tmp_path):
    content = coco("t")
    names = [f"lost{i}.jpg" for i in range(42)]
    content["images"] += [
        {"id": 10 + i, "file_name": name, "width": 48, "height": 32} for i, name in enumerate(names)
    ]
    folder(tmp_path, train=content)
    for name in names:
        (tmp_path / "train2017" / name).unlink()
    assert "(42): lost0.jpg, lost1.jpg, lost2.jpg, lost3.jpg, lost4.jpg and 37 more" in refusal(tmp_path)


def test_where_no_image_is_found_the_places_are_listed(tmp_path):
    folder(tmp_path)
    for path in (tmp_path / "val2017").iterdir():
        path.unlink()
    message = refusal(tmp_path)
    assert "looked in val2017, ., annotations. Put them into val/, each as its 'file_name' says" in message
    assert "images missing" not in message


@pytest.mark.parametrize(
    "said", ["images\\t1.jpg", "C:\\day\\T1.JPG", "day/t1.jpg", "t1.png", "t1", "t1.jpg "]
)
def test_a_file_of_nearly_the_same_name_is_pointed_at(tmp_path, said):
    content = coco("t")
    folder(tmp_path, train=content)
    content["images"][0]["file_name"] = said
    (tmp_path / "annotations/instances_train2017.json").write_text(json.dumps(content))
    assert f"(1): {said}; for {said} there is t1.jpg: write 'file_name'" in refusal(tmp_path)


def test_a_file_that_is_no_image_is_named(tmp_path):
    (folder(tmp_path) / "train2017/t1.jpg").write_text("a web page")
    assert "images by cv2, which training uses: write them as JPEG or PNG (1): t1.jpg" in refusal(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_the_size_is_the_one_after_exif_rotation_as_mmcv_loads_it(tmp_path, suffix):
    content = coco("t")
    content["images"][0]["file_name"] = name = f"phone.{suffix}"
    folder(tmp_path, train=content)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (32, 48)).save(tmp_path / "train2017" / name, exif=exif)
    assert mmcv.imread(tmp_path / "train2017" / name).shape == (32, 48, 3)
    assert inspect(tmp_path, masks=True)

    Image.new("RGB", (48, 32)).save(tmp_path / "train2017" / name, exif=exif)
    assert f"{name} (32x48, stated 48x32)" in refusal(tmp_path)


def test_classes_of_one_split_only_are_named(tmp_path):
    content = coco("v")
    content["categories"][1]["name"] = "wolf"
    message = refusal(folder(tmp_path, val=content))
    assert "names in train that val lacks; give both files all classes, spelt alike (1): dog" in message
    assert "spelt alike (1): wolf" in message


def test_the_same_classes_may_stand_in_another_order(tmp_path):
    content = coco("v")
    content["categories"].reverse()
    found = inspect(folder(tmp_path, val=content), masks=True)
    assert found.classes == ("cat", "dog")
    assert [split.per_class for split in found.splits.values()] == [(2, 1)] * 2


def test_ids_of_classes_may_differ_between_the_splits(tmp_path):
    content = coco("v")
    for entry, key in [(c, "id") for c in content["categories"]] + [
        (a, "category_id") for a in content["annotations"]
    ]:
        entry[key] += 50
    assert inspect(folder(tmp_path, val=content), masks=True).splits["val"].per_class == (2, 1)


def test_all_that_is_wrong_is_in_one_message(tmp_path):
    train, val = coco("t"), coco("v")
    train["annotations"][0]["bbox"] = [40, 2, 20, 20]
    train["annotations"][1]["segmentation"] = []
    val["annotations"] = []
    val["categories"].pop()
    folder(tmp_path, train, val)
    (tmp_path / "train2017/t2.jpg").unlink()
    message = refusal(tmp_path)
    assert message.count("\n  - ") == 6
    for said in (
        "boxes",
        "no segmentation",
        "empty",
        "train that val lacks",
        "missing from",
        "their own box",
    ):
        assert said in message


def test_a_detector_without_masks_takes_unsound_masks_with_a_note(tmp_path):
    content = coco("t")
    content["annotations"][0]["segmentation"] = [[0, 0, 90, 0, 9, 9]]
    del content["annotations"][1]["segmentation"]
    found = inspect(folder(tmp_path, train=content), masks=False)
    assert any("reaches outside their image (1): 1" in note for note in found.notes)
    assert not any("no segmentation" in note for note in found.notes)


def test_an_image_of_the_training_among_those_of_the_validation_is_noted_at_every_look(tmp_path):
    root = folder(tmp_path)
    (root / "val2017/v2.jpg").write_bytes((root / "train2017/t1.jpg").read_bytes())
    said = "train and val: images in both, the same byte by byte: scores would say little; remove one of each"
    for _ in range(2):  # the second finds what the first remembered
        assert f"{said} (1): train2017/t1.jpg = val2017/v2.jpg" in inspect(root, masks=True).notes


def change(content, **values):
    """Set these of every annotation."""
    for annotation in content["annotations"]:
        annotation |= values
    return content


def test_what_a_file_leaves_out_is_taken_as_it_can_only_be_meant(tmp_path):
    content = coco("v")
    for annotation in content["annotations"]:
        del annotation["iscrowd"], annotation["area"]
    found = inspect(folder(tmp_path, val=content), masks=True)
    assert found.splits["val"].instances == 3
    assert any("without 'area' (3): width x height of the box" in note for note in found.notes)


def test_whole_numbers_may_be_written_with_a_point_and_flags_as_truth(tmp_path):
    text = (
        json.dumps(change(coco("v"), iscrowd=False))
        .replace('"id": 1,', '"id": 1.0,')
        .replace(": 48", ": 48.0")
    )
    (folder(tmp_path) / "annotations/instances_val2017.json").write_text(text)
    assert "1.0" in text
    assert inspect(tmp_path, masks=True).splits["val"].instances == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_passed_over(tmp_path, encoding):
    file = folder(tmp_path) / "annotations/instances_val2017.json"
    file.write_text(file.read_text(), encoding=encoding)
    assert inspect(tmp_path, masks=True)


def test_what_is_not_learnt_is_counted_by_reason(tmp_path):
    content = coco("t")
    more = [
        ({"iscrowd": 1}, "'iscrowd' is 1"),
        ({"ignore": 1}, "'ignore' is 1"),
        ({"area": 0}, "'area' is 0 or less"),
        ({"bbox": [2, 2, 0.5, 9], "segmentation": [[2, 2, 2.4, 2, 2.4, 9]], "area": 4}, "under one pixel"),
        ({"bbox": [48, 2, 1, 9], "segmentation": [[48, 2, 49, 2, 49, 9]], "area": 9}, "no part inside"),
    ]
    for number, (values, _) in enumerate(more, 10):
        content["annotations"].append(content["annotations"][0] | {"id": number} | values)
    found = inspect(folder(tmp_path, train=content), masks=True)
    assert (found.splits["train"].instances, found.splits["train"].left_out) == (3, 5)
    assert found.splits["train"].per_class == (2, 1)
    notes = "\n".join(found.notes)
    for number, (_, said) in enumerate(more, 10):
        assert any(said in line and line.endswith(f"(1): {number}") for line in notes.splitlines()), said
    assert "(5 left out, see the notes)" in found.describe()


def test_what_mmdetection_learns_from_is_what_is_counted(tmp_path):
    content = coco("t")
    values = [
        {"iscrowd": 1},
        {"ignore": 1},
        {"area": 0},
        {"bbox": [2, 2, 0.5, 9]},
        {"bbox": [48, 2, 1, 9]},
        {},
    ]
    for number, each in enumerate(values, 10):
        content["annotations"].append(content["annotations"][0] | {"id": number} | each)
    root = folder(tmp_path, train=content)
    split = inspect(root, masks=False).splits["train"]
    dataset = CocoDataset(
        ann_file=str(split.annotation_file), data_prefix={"img": ""}, metainfo={"classes": ("cat", "dog")}
    )
    learnt = [each for info in dataset for each in info["instances"] if not each["ignore_flag"]]
    assert len(learnt) == split.instances == 4


@pytest.mark.parametrize(
    ("split", "values", "said"),
    [
        ("t", {"iscrowd": 1}, "'iscrowd' is 1: a crowd"),
        ("v", {"iscrowd": 1}, "nothing is left to evaluate"),
        ("t", {"ignore": 1}, "nothing is left to learn from"),
        ("t", {"area": 0}, "'area' is 0 or less"),
        (
            "t",
            {"bbox": [0.1, 0.1, 0.2, 0.3], "segmentation": [[0.1, 0.1, 0.3, 0.1, 0.3, 0.4]]},
            "shares of the image",
        ),
        (
            "v",
            {"bbox": [0.1, 0.1, 0.2, 0.3], "segmentation": [[0.1, 0.1, 0.3, 0.1, 0.3, 0.4]]},
            "shares of the image",
        ),
    ],
)
def test_a_split_with_nothing_left_is_refused(tmp_path, split, values, said):
    name = {"t": "train", "v": "val"}[split]
    assert said in refusal(folder(tmp_path, **{name: change(coco(split), **values)}))


@pytest.mark.parametrize("masks", [True, False])
def test_corners_for_a_box_are_recognised_by_masks_or_areas(tmp_path, masks):
    content = change(coco("v"), bbox=[2, 2, 12, 12], area=100)  # within the image
    for annotation in content["annotations"]:
        annotation["segmentation"] = annotation["segmentation"] if masks else []
    said = "masks" if masks else "areas"
    message = refusal(folder(tmp_path, val=content), masks=masks)
    assert f"boxes are [x1, y1, x2, y2], as their {said} tell: write x2 - x1 for the width" in message


def test_corners_for_a_box_are_suspected_where_all_could_be_and_some_leave_the_image(tmp_path):
    boxes = ([1, 1, 40, 30], [2, 2, 12, 12], [9, 9, 47, 31])
    content = change(coco("v"), segmentation=[], area=50)
    for annotation, box in zip(content["annotations"], boxes, strict=True):
        annotation |= {"bbox": box}
    assert "they look like [x1, y1, x2, y2]" in refusal(folder(tmp_path, val=content), masks=False)


PLACES = ([300, 20, 85, 65], [20, 200, 130, 50], [190, 240, 60, 34])  # in an image of 400x300
WRITTEN = {
    "corners": (lambda x, y, w, h: [x, y, x + w, y + h], "[x1, y1, x2, y2]", "x2 - x1 for the width"),
    "centres": (lambda x, y, w, h: [x + w / 2, y + h / 2, w, h], "[centre x, centre y", "subtract half"),
    "rows first": (lambda x, y, w, h: [y, x, y + h, x + w], "[y1, x1, y2, x2]", "write [x1, y1, x2 - x1"),
    "by axis": (lambda x, y, w, h: [x, x + w, y, y + h], "[x1, x2, y1, y2]", "write [x1, y1, x2 - x1"),
    "exchanged": (lambda x, y, w, h: [y, x, h, w], "[y, x, height, width]", "write [x, y, width, height]"),
    "shares": (lambda *box: in_unit(1, *box), "shares of the image (0 to 1)", "multiply x and width"),
    "per cent": (lambda *box: in_unit(100, *box), "per cent of the image", "and divide by 100"),
    "YOLO": (
        lambda x, y, w, h: in_unit(1, x + w / 2, y + h / 2, w, h),
        "[centre x, centre y, width, height] in shares of the image",
        "its height; then subtract half",
    ),
    "thousandths": (
        lambda x, y, w, h: [1000 * y / 300, 1000 * x / 400, 1000 * (y + h) / 300, 1000 * (x + w) / 400],
        "[y1, x1, y2, x2] in thousandths",
        "divide by 1000; then write",
    ),
}


def in_unit(whole, x, y, w, h):
    return [round(whole * value, 3) for value in (x / 400, y / 300, w / 400, h / 300)]


def placed(split, write, masks=True):
    """Three objects in a large image, their boxes written in some way."""
    content = many(split, [0, 0, 1, 1])
    content["annotations"] = content["annotations"][:3]
    for annotation, (x, y, w, h) in zip(content["annotations"], PLACES, strict=True):
        annotation |= {"bbox": write(x, y, w, h), "area": w * h}
        if masks:
            annotation["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return content


@pytest.mark.parametrize("way", WRITTEN)
def test_boxes_in_another_order_or_unit_are_told_by_their_masks(tmp_path, way):
    write, said, remedy = WRITTEN[way]
    Image.new("RGB", (400, 300)).save(folder(tmp_path, val=placed("v", write)) / "val2017/v1.jpg")
    message = refusal(tmp_path)
    assert f"boxes are {said}" in message or f"in {said}" in message
    assert "as their masks tell" in message
    assert remedy in message
    assert "less than half" not in message
    assert "nothing is left" not in message


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("YOLO", "shares of the image (0 to 1), and COCO has pixels"),
        ("YOLO", "(3); they look like [centre x, centre y, width, height]: then subtract half"),
        ("shares", "shares of the image (0 to 1)"),
        ("per cent", "per cent of the image, as their areas tell: multiply"),
        ("rows first", "boxes are [y1, x1, y2, x2], as their areas tell"),
    ],
)
def test_without_masks_areas_tell_or_the_numbers_alone(tmp_path, way, said):
    content = placed("v", WRITTEN[way][0], masks=False)
    if way in ("YOLO", "shares"):
        for annotation in content["annotations"]:
            annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
    Image.new("RGB", (400, 300)).save(folder(tmp_path, val=content) / "val2017/v1.jpg")
    assert said in refusal(tmp_path, masks=False)


def test_masks_that_begin_at_the_corner_of_their_box_say_nothing_about_the_box(tmp_path):
    content = placed("v", lambda *box: list(box))
    for annotation in content["annotations"]:
        w, h = annotation["bbox"][2:]
        annotation["segmentation"] = [[0, 0, w, 0, w, h, 0, h]]
    Image.new("RGB", (400, 300)).save(folder(tmp_path, val=content) / "val2017/v1.jpg")
    assert "boxes are" not in refusal(tmp_path)


def test_an_unsound_list_is_not_blamed_on_what_points_to_it(tmp_path):
    content = coco("v")
    for image in content["images"]:
        image["id"] = str(image["id"])
    message = refusal(folder(tmp_path, val=content))
    assert "images whose 'id' is not a whole number" in message
    assert "not among the images" not in message
    assert "nothing is left" not in message


def test_names_that_only_look_alike_are_told_apart(tmp_path):
    train, val = coco("t"), coco("v")
    train["categories"][0]["name"], val["categories"][0]["name"] = "caf\u00e9", "cafe\u0301"
    message = refusal(folder(tmp_path, train, val))
    assert "(1): caf\u00e9" in message
    assert r"(1): 'cafe\u0301'" in message


def many(split, box, size=(400, 300)):
    """A split of 30 objects in a large image."""
    content = coco(split)
    content["images"] = [{"id": 1, "file_name": f"{split}1.jpg", "width": size[0], "height": size[1]}]
    plain = {"image_id": 1, "area": box[2] * box[3], "iscrowd": 0, "bbox": box}
    content["annotations"] = [{"id": i, "category_id": [7, 3][i % 2], **plain} for i in range(1, 31)]
    return content


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ([50, 40, 49, 30], "look like per cent"),
        ([100, 90, 90, 60], "upper left part"),
        ([300, 200, 90, 60], None),
    ],
)
def test_boxes_that_were_made_in_another_unit_are_suspected(tmp_path, box, said):
    folder(tmp_path, val=many("v", box))
    Image.new("RGB", (400, 300)).save(tmp_path / "val2017/v1.jpg")
    found = inspect(tmp_path, masks=False)
    notes = "\n".join(found.notes)
    assert said in notes if said else notes == ""
    assert found.splits["val"].most == 30


def test_a_blank_at_the_end_of_a_class_is_seen(tmp_path):
    content = coco("v")
    content["categories"][0]["name"] = "cat "
    message = refusal(folder(tmp_path, val=content))
    assert "spelt alike (1): cat\n" in message
    assert "spelt alike (1): 'cat '" in message


def test_images_without_an_object_are_noted_with_the_way_to_keep_them(tmp_path):
    content = coco("t")
    content["annotations"] = content["annotations"][:1]
    content["categories"] = coco()["categories"]
    folder(tmp_path, train=content)
    said = "\n".join(inspect(tmp_path, masks=True).notes)
    assert "images without an annotation, which training leaves out" in said
    assert "filter_empty_gt=False keeps them (1): t2.jpg" in said
    kept = "\n".join(inspect(tmp_path, masks=True, only=Filter(empty=False)).notes)
    assert "trained on as background (1): t2.jpg" in kept


def test_areas_that_fit_nothing_are_noted(tmp_path):
    content = change(coco("v"), area=5000)
    notes = "\n".join(inspect(folder(tmp_path, val=content), masks=True).notes)
    assert "'area' that fits neither mask nor box" in notes
    assert "1 in v1.jpg (48x32) 5000 with a box of 10x10" in notes


def test_crowds_and_a_pixel_of_overhang_are_fine(tmp_path):
    content = coco("t")
    content["annotations"][0] |= {"iscrowd": 1, "segmentation": RUNS, "bbox": [3, 0, 1, 32], "area": 20}
    content["annotations"][1] |= {"bbox": [-1, 0, 50, 33], "segmentation": [[-1, 0, 49, 0, 49, 33]]}
    content["annotations"][1] |= {"area": 825}
    notes = inspect(folder(tmp_path, train=content), masks=True).notes
    assert len(notes) == 2
    assert "a crowd" in notes[0]
    assert "trained on as background (1): t1.jpg" in notes[1]


def test_classes_without_an_instance_are_noted(tmp_path):
    train, val = coco("t"), coco("v")
    for content in (train, val):
        content["categories"].append({"id": 9, "name": "unicorn"})
    found = inspect(folder(tmp_path, train, val), masks=True)
    assert [note.rpartition(": ")[2] for note in found.notes] == ["unicorn", "unicorn"]


def test_a_large_image_is_checked_without_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert inspect(folder(tmp_path), masks=True)
    assert Image.MAX_IMAGE_PIXELS == 10
