"""Prediction as a user calls it: what is written, what is refused, and what cannot be read."""

import csv
import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import FILES, ROOT
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from runs import refusal
from untrained import COLOURS, NAMES

from maxvit_mm.commands.predict import main
from maxvit_mm.inference.detector import Detector
from maxvit_mm.inference.outputs import Outputs
from maxvit_mm.inference.segmenter import Segmenter
from maxvit_mm.inference.sources import WHAT, sources_of

pytestmark = pytest.mark.usefixtures("elsewhere")
PHOTO = sorted((FILES / "photos").glob("*.jpg"))[0]


@pytest.fixture
def checkpoint(trained):
    return str(trained / "iter_2.pth")


@pytest.fixture
def clip(shapes):
    """A video of an image that drifts to the right."""
    image = cv2.imread(str(sorted((shapes / "val2017").glob("*.jpg"))[0]))
    with av.open("clip.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(24000, 1001))
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for i in range(5):
            frame = np.ascontiguousarray(np.roll(cv2.resize(image, (128, 96)), 2 * i, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())
    return "clip.mp4"


def read_results(folder="predictions"):
    return json.loads(Path(folder, "predictions.json").read_text())


def test_images_and_videos_become_pictures_videos_tables_and_crops(checkpoint, shapes, clip, capsys):
    Path("photos/again").mkdir(parents=True)
    for name in sorted(path.name for path in (shapes / "val2017").glob("*.jpg"))[:2]:
        shutil.copy(shapes / "val2017" / name, "photos")
    shutil.copy("photos" / Path(name), "photos/again")
    main([checkpoint, "photos", clip, "--recursive", "--score-thr", "0", "--csv", "--crops", "--track"])
    said = capsys.readouterr().out.splitlines()
    names = sorted(path.name for path in Path("photos").glob("*.jpg"))
    for name in (*names, f"again/{names[-1]}"):
        image, picture = cv2.imread(f"photos/{name}"), cv2.imread(f"predictions/{name}")
        times = picture.shape[0] // image.shape[0]
        assert picture.shape == (times * image.shape[0], times * image.shape[1], 3)
        assert 480 <= max(picture.shape) < 960
    with av.open("predictions/clip.mp4") as video:
        assert video.streams.video[0].average_rate == Fraction(24000, 1001)
        assert len(list(video.decode(video=0))) == 5
    results = read_results()
    assert [image["file_name"] for image in results["images"]] == [
        *names,
        f"again/{names[-1]}",
        *["clip.mp4"] * 5,
    ]
    assert [image.get("frame_id") for image in results["images"]] == [None] * 3 + [0, 1, 2, 3, 4]
    objects = results["annotations"]
    assert said[0].startswith(f"{len(results['images'])} images in ")
    assert f": {len(objects)} objects (" in said[0]
    assert said[-1] == "results are in predictions"
    with Path("predictions/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == [each["score"] for each in objects]
    assert [row["track"] for row in rows] == [str(each.get("track_id", "")) for each in objects]
    in_video = {image["id"] for image in results["images"] if "frame_id" in image}
    assert any("track_id" in each for each in objects if each["image_id"] in in_video)
    assert not any("track_id" in each for each in objects if each["image_id"] not in in_video)
    assert len(list(Path("predictions/crops").rglob("*.jpg"))) == len(objects)


def test_results_are_those_of_the_detector_and_cocos_tools_take_them(checkpoint, shapes):
    annotations = shapes / "annotations/instances_val2017.json"
    truth = COCO(str(annotations))
    main([checkpoint, f"{shapes}/val2017", "--score-thr", "0", "--ids-of", str(annotations), "--no-pictures"])
    assert [path.name for path in Path("predictions").iterdir()] == ["predictions.json"]
    results = COCO("predictions/predictions.json")  # as an annotation tool reads it
    assert {(i["id"], i["file_name"]) for i in results.dataset["images"]} == {
        (i["id"], i["file_name"]) for i in truth.dataset["images"]
    }
    names = {category["id"]: category["name"] for category in truth.dataset["categories"]}
    detector = Detector(checkpoint=checkpoint, score_thr=0.0)
    for image in results.dataset["images"]:
        found = results.imgToAnns[image["id"]]
        source = sources_of([f"{shapes}/val2017/{image['file_name']}"])[0]
        ((_, expected),) = detector(source.name)
        assert [names[each["category_id"]] for each in found] == expected.data["class_name"].tolist()
        boxes = np.array([each["bbox"] for each in found])
        np.testing.assert_allclose(boxes[:, :2] + boxes[:, 2:], expected.xyxy[:, 2:], atol=0.02)
        for each, mask in zip(found, expected.mask, strict=True):
            np.testing.assert_array_equal(results.annToMask(each), mask)
            assert each["area"] == mask.sum()
    for kind in ("bbox", "segm"):
        evaluation = COCOeval(truth, truth.loadRes(read_results()["annotations"]), kind)
        evaluation.evaluate()
        assert sum(len(image["dtIds"]) for image in evaluation.evalImgs if image) > 0


def test_what_is_there_is_written_over_only_by_force(checkpoint, clip):
    Path("out").mkdir()
    Path("out/thesis.txt").write_text("years of work")
    shutil.copy(PHOTO, "photo.jpg")
    said = refusal(main, checkpoint, "photo.jpg", "--out", "out")
    assert said == "out is not empty: name another folder with --out, or write over it with --force"
    said = refusal(main, checkpoint, "photo.jpg", "--out", ".", "--force")
    assert said == "--out .: pictures would be written over photo.jpg: name another folder"
    main([checkpoint, "photo.jpg", "--out", "out", "--force", "--no-pictures"])
    assert Path("out/thesis.txt").read_text() == "years of work"
    # What an earlier run has written is no source of the next.
    shutil.copy(PHOTO, "out/photo.jpg")
    main([checkpoint, ".", "--out", "out", "--force", "--recursive", "--no-pictures"])
    assert {image["file_name"] for image in read_results("out")["images"]} == {"photo.jpg", "clip.mp4"}
    assert refusal(main, checkpoint, "photo.jpg", "--out", "photo.jpg").startswith(
        "--out photo.jpg is a file"
    )


def test_sources_that_cannot_be_read_are_listed_at_the_end_and_the_rest_is_done(checkpoint):
    Path("text.jpg").write_text("a letter")
    Path("empty").mkdir()
    shutil.copy(PHOTO, "photo.jpg")
    said = refusal(main, checkpoint, "text.jpg", "empty", "none.jpg", "photo.jpg", "--no-pictures")
    assert said.splitlines() == [
        "could not be read:",
        "  empty is a folder without images or videos",
        f"  none.jpg is not there: {WHAT}",
        "  text.jpg is a text file and no image",
    ]
    assert [image["file_name"] for image in read_results()["images"]] == ["photo.jpg"]
    assert "empty is a folder without" in refusal(main, checkpoint, "empty", "--out", "other")
    refusal(main, checkpoint, "text.jpg", "--csv", "--out", "other")
    assert not Path("other").exists()  # a second try need not be forced


def test_an_interrupted_run_keeps_what_it_has_found(checkpoint, clip, monkeypatch):
    seen = []
    add = Outputs.add

    def interrupted(outputs, frame, found):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(frame.number)
        add(outputs, frame, found)

    monkeypatch.setattr(Outputs, "add", interrupted)
    said = refusal(main, checkpoint, clip)
    assert said == "interrupted; what was found before is in predictions"
    assert len(read_results()["images"]) == 3
    with av.open("predictions/clip.mp4") as video:
        assert len(list(video.decode(video=0))) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{c}", "photo.jpg", "--classes", "cat"], "the checkpoint has no class cat; it has disk, square"),
        (["{c}", "photo.jpg", "--score-thr", "30"], "scores are from 0 to 1"),
        (["{c}", "photo.jpg", "--device", "cuda:7"], "cuda:7 needs a GPU, and PyTorch sees none here"),
        (["mask_rcnn_maxvit_t_coco", "{c}", "photo.jpg"], "and the config's heads have 80"),
        (["nowhere.py", "{c}", "photo.jpg"], "there is no config nowhere.py"),
        (["none.pth", "photo.jpg"], "there is no checkpoint file none.pth"),
        (["photo.jpg", "photo.jpg"], "photo.jpg is no checkpoint: name one before what to look at"),
        (["{c}", "photo.jpg", "--ids-of", "none.json"], "--ids-of none.json: there is no such file"),
        (["{c}", "photo.jpg", "--ids-of", "photo.jpg"], "photo.jpg is no annotation file in COCO's format"),
        (["{c}"], "2"),
    ],
)
def test_what_is_the_users_to_mend_is_said_in_a_sentence(checkpoint, arguments, said):
    shutil.copy(PHOTO, "photo.jpg")
    found = refusal(main, *(word.format(c=checkpoint) for word in arguments))
    assert said in found
    assert "\n" not in found.strip()


def test_a_config_that_does_otherwise_than_the_training_is_compared_with_it(checkpoint, capsys):
    shutil.copy(PHOTO, "photo.jpg")
    main(["mask_rcnn_maxvit_pico_shapes", checkpoint, "photo.jpg", "--no-pictures"])
    assert "trained with" not in capsys.readouterr().out
    base = f"_base_ = {str(ROOT / 'configs/mask_rcnn_maxvit_pico_shapes.py')!r}\n"
    Path("mine.py").write_text(base + "model = dict(test_cfg=dict(rcnn=dict(nms=dict(iou_threshold=0.7))))")
    main(["mine.py", checkpoint, "photo.jpg", "--no-pictures", "--out", "other"])
    assert capsys.readouterr().out.splitlines()[:3] == [
        "note: this is not what the checkpoint was trained with:",
        "  model.test_cfg.rcnn.nms.iou_threshold is 0.7 here, and was 0.5 in the training",
        "  leave out CONFIG to predict as it was trained",
    ]


def table(path="predictions"):
    with Path(path, "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_segmenter_writes_label_maps_overlays_and_shares(segmenter, clip, capsys):
    shutil.copy(PHOTO, "photo.jpg")
    cv2.imwrite("photo.png", cv2.resize(cv2.imread("photo.jpg"), (150, 100)))
    main([str(segmenter), "photo.jpg", "photo.png", clip, "--csv"])
    said = capsys.readouterr().out.splitlines()
    results = read_results()
    assert results["classes"] == list(NAMES)
    assert [image["file_name"] for image in results["images"]] == [
        "photo.jpg",
        "photo.png",
        *["clip.mp4"] * 5,
    ]
    maps = [image["label_map"] for image in results["images"]]
    frames = [f"label_maps/clip.mp4/{number:06}.png" for number in range(5)]
    assert maps == ["label_maps/photo.png", "label_maps/photo_2.png", *frames]
    ((_, labels),) = Segmenter(segmenter)("photo.jpg")
    for image in results["images"]:
        with Image.open(Path("predictions", image["label_map"])) as stored:
            assert stored.mode == "P"
            assert stored.size == (image["width"], image["height"])
            assert stored.getpalette()[:9] == [part for colour in COLOURS for part in colour]
            numbers = np.asarray(stored)
        if image["file_name"] == "photo.jpg":
            np.testing.assert_array_equal(numbers, labels)
        for each in image["classes"]:
            assert each["pixels"] == (numbers == each["number"]).sum()
            assert each["share"] == pytest.approx(each["pixels"] / numbers.size, abs=1e-6)
            assert each["name"] == NAMES[each["number"]]
        assert sum(each["pixels"] for each in image["classes"]) == numbers.size
    told = [(row["file"], row["class"], int(row["pixels"])) for row in table()]
    assert told == [(i["file_name"], c["name"], c["pixels"]) for i in results["images"] for c in i["classes"]]
    picture, photo = cv2.imread("predictions/photo.jpg"), cv2.imread("photo.jpg")
    assert len(picture) == len(photo)
    assert picture.shape[1] > photo.shape[1]  # by the legend
    with av.open("predictions/clip.mp4") as video:
        assert len(list(video.decode(video=0))) == 5
    assert said[0].startswith("7 images in ")
    assert " % ground" in said[0]
    main(
        [
            str(segmenter),
            "photo.jpg",
            "--no-pictures",
            "--classes",
            "square",
            "--out",
            "other",
            "--tile",
            "200",
        ]
    )
    assert sorted(path.name for path in Path("other").rglob("*")) == [
        "label_maps",
        "photo.png",
        "predictions.json",
    ]
    assert {each["name"] for image in read_results("other")["images"] for each in image["classes"]} <= {
        "square"
    }


def test_a_classifier_writes_the_best_classes_of_each_image(classifier, clip, capsys):
    shutil.copy(PHOTO, "photo.jpg")
    main([str(classifier), "photo.jpg", clip, "--csv", "--batch-size", "2"])
    said = capsys.readouterr().out.splitlines()
    results = read_results()
    assert results["classes"] == list(NAMES)
    assert [image.get("frame_id") for image in results["images"]] == [None, 0, 1, 2, 3, 4]
    for image in results["images"]:
        probabilities = [each["probability"] for each in image["classes"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert [NAMES[each["number"]] for each in image["classes"]] == [
            each["name"] for each in image["classes"]
        ]
    assert [row["class"] for row in table() if row["rank"] == "1"] == [
        image["classes"][0]["name"] for image in results["images"]
    ]
    best = results["images"][0]["classes"][0]["name"]
    assert said[0].startswith("6 images in ")
    assert f" {best}" in said[0]
    picture, photo = cv2.imread("predictions/photo.jpg"), cv2.imread("photo.jpg")
    assert np.abs(picture[:, : photo.shape[1]].astype(int) - photo).mean() < 3  # stored as JPEG once more
    assert picture.shape[1] > photo.shape[1]
    with av.open("predictions/clip.mp4") as video:
        assert len(list(video.decode(video=0))) == 5


@pytest.mark.parametrize(
    ("task", "options", "said"),
    [
        ("segmenter", ["--track"], "the checkpoint is for segmentation, which has no --track: leave it out"),
        ("segmenter", ["--score-thr", "0"], "segmentation, which has no --score-thr: leave it out"),
        ("segmenter", ["--crops", "--ids-of", "photo.jpg"], "has no --crops and no --ids-of: leave them out"),
        (
            "classifier",
            ["--tile", "64"],
            "the checkpoint is for classification, which has no --tile: leave it",
        ),
        ("classifier", ["--overlap", "0"], "classification, which has no --overlap: leave it out"),
    ],
)
def test_options_that_mean_nothing_for_a_task_are_refused(request, task, options, said):
    shutil.copy(PHOTO, "photo.jpg")
    assert said in refusal(main, request.getfixturevalue(task), "photo.jpg", *options)
    assert not Path("predictions").exists()


def test_without_a_library_one_line_says_how_to_get_it(checkpoint, monkeypatch):
    monkeypatch.setattr(
        "maxvit_mm.inference.libraries.find_spec", lambda name: None if name == "trackers" else 1
    )
    said = refusal(main, checkpoint, "photo.jpg", "--track")
    assert said == "predictions need trackers: pip install 'trackers>=2.6'"
