from maxvit_mm.inference.imagenet import imagenet_classes, labelled_images


def test_imagenets_classes_are_in_their_order():
    ids, names = imagenet_classes()
    assert len(set(ids)) == len(names) == 1000
    assert ids == sorted(ids)
    assert (ids[0], names[0], names[281], names[999]) == ("n01440764", "tench", "tabby", "toilet tissue")


def test_folders_of_other_classifiers_are_taken_in_alphabetical_order(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    paths, labels = labelled_images(tmp_path, 2)
    assert [path.parent.name for path in paths] == ["a", "b"]
    assert labels.tolist() == [0, 1]
