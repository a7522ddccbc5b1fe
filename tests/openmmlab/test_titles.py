"""How pictures of image files are called."""

from maxvit_mm.openmmlab.titles import PictureNames


def test_a_picture_has_its_images_name_and_those_of_folders_where_another_has_it():
    name_of = PictureNames()
    images = ["a/x/0.jpg", "a/y/0.jpg", "b/y/0.jpg", "a/x/1.png", "a/x/0.jpg"]
    assert [name_of(image) for image in images] == ["0", "y_0", "b_y_0", "1", "0"]


def test_of_classes_the_folder_is_named_in_any_case():
    name_of = PictureNames(folders=1)
    images = ["val/cat/0.jpg", "val/dog/0.jpg", "train/dog/0.jpg"]
    assert [name_of(image) for image in images] == ["cat_0", "dog_0", "train_dog_0"]
