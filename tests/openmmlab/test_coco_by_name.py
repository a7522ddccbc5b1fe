"""Numbers stand beside the right names, whatever order and numbers a file has."""

import json

import numpy as np
import pytest
import torch

from maxvit_mm.openmmlab.coco_by_name import CocoByName, CocoByNameDataset, CocoByNameMetric

NAMES = ["apple", "leaf", "stone"]


def write(path, ids, first=1, names=NAMES):
    """Two images, each with one of every class in a place of its own."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 99, "height": 99} for i in (5, 9)]
    annotations = [
        {"id": 0, "image_id": image["id"], "category_id": number, "bbox": [30 * place, 9, 20, 20]}
        for image in images
        for place, number in enumerate(ids)
    ]
    for number, annotation in enumerate(annotations, first):
        annotation["id"] = number
    categories = [{"id": number, "name": name} for number, name in zip(ids, names, strict=True)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return str(path)


def evaluate(path, classes, found, **arguments):
    """Metrics of a detector that finds all objects of the classes in `found`, and no other."""
    dataset = CocoByNameDataset(
        ann_file=path, data_prefix={"img": ""}, metainfo={"classes": classes}, test_mode=True
    )
    metric = CocoByNameMetric(ann_file=path, metric="bbox", classwise=True, **arguments)
    metric.dataset_meta = dataset.metainfo
    for info in dataset:
        own = [each for each in info["instances"] if classes[each["bbox_label"]] in found]
        boxes = torch.tensor([each["bbox"] for each in own]).float().reshape(-1, 4)
        labels = torch.tensor([each["bbox_label"] for each in own], dtype=torch.long)
        result = dict(bboxes=boxes, scores=torch.ones(len(own)), labels=labels)
        metric.process({}, [dict(img_id=info["img_id"], ori_shape=(99, 99), pred_instances=result)])
    return metric.evaluate(len(dataset))


@pytest.mark.parametrize("ids", [[1, 2, 3], [3, 2, 1], [7, 0, 40], [2, 3, 1]])
@pytest.mark.parametrize("first", [0, 1, 17])
@pytest.mark.parametrize("classes", [NAMES, NAMES[::-1]])
def test_per_class_ap_stands_beside_its_class(tmp_path, ids, first, classes):
    result = evaluate(write(tmp_path / "a.json", ids, first), classes, found=["apple", "stone"])
    assert [result[f"coco/{name}_precision"] for name in NAMES] == [1, 0, 1]
    assert result["coco/bbox_mAP"] == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize("first", [0, 1])
def test_a_perfect_detector_has_ap_1_whatever_annotation_ids_begin_with(tmp_path, first):
    assert evaluate(write(tmp_path / "a.json", [1, 2, 3], first), NAMES, NAMES)["coco/bbox_mAP"] == 1


@pytest.mark.parametrize("classes", [NAMES, NAMES[::-1]])
def test_written_predictions_have_the_files_own_ids(tmp_path, classes):
    path = write(tmp_path / "a.json", [7, 0, 40])
    evaluate(path, classes, ["stone"], outfile_prefix=str(tmp_path / "out"))
    written = json.loads((tmp_path / "out.bbox.json").read_text())
    assert [each["category_id"] for each in written] == [40, 40]
    assert [each["bbox"] for each in written] == [[60, 9, 20, 20]] * 2


def test_labels_follow_the_names_of_the_config(tmp_path):
    path = write(tmp_path / "a.json", [7, 0, 40])
    dataset = CocoByNameDataset(
        ann_file=path, data_prefix={"img": ""}, metainfo={"classes": NAMES[::-1]}, test_mode=True
    )
    left_to_right = sorted(dataset[0]["instances"], key=lambda each: each["bbox"][0])
    assert [each["bbox_label"] for each in left_to_right] == [2, 1, 0]


def test_a_file_is_read_as_the_check_reads_it(tmp_path):
    path = tmp_path / "a.json"
    write(path, [1, 2, 3])
    path.write_text(path.read_text().replace('"id": 5', '"id": 5.0'), encoding="utf-8-sig")
    coco = CocoByName(str(path))
    assert set(map(type, coco.imgs)) == {int}
    assert {annotation["iscrowd"] for annotation in coco.anns.values()} == {0}
    assert {annotation["area"] for annotation in coco.anns.values()} == {400}


def test_without_an_annotation_file_the_truth_of_the_samples_is_taken(tmp_path):
    metric = CocoByNameMetric(metric="bbox")
    metric.dataset_meta = {"classes": NAMES}
    box, label = [10.0, 10.0, 30.0, 30.0], 2
    truth = [dict(bbox=box, bbox_label=label, ignore_flag=0)]
    result = dict(bboxes=torch.tensor([box]), scores=torch.ones(1), labels=torch.tensor([label]))
    metric.process({}, [dict(img_id=1, ori_shape=(99, 99), instances=truth, pred_instances=result)])
    assert np.isclose(metric.evaluate(1)["coco/bbox_mAP"], 1)
