import pytest
from runs import refusal

from maxvit_mm.commands.make_shapes import main


def test_the_command_counts_what_it_made(tmp_path, capsys):
    main([str(tmp_path / "shapes"), "--train", "3", "--val", "2"])
    train, classes, sizes, val, *_ = capsys.readouterr().out.splitlines()
    assert train.startswith(f"{tmp_path}/shapes/annotations/instances_train2017.json: 3 images, ")
    assert val.startswith(f"{tmp_path}/shapes/annotations/instances_val2017.json: 2 images, ")
    assert len(classes.split(", ")) == 4
    assert sizes.split()[1::2] == ["small,", "medium,", "large"]


@pytest.mark.parametrize(("arguments", "said"), [(["--train", "0"], "train"), ([], "of_the_user.txt")])
def test_what_cannot_be_made_is_refused_in_a_sentence(tmp_path, arguments, said, capsys):
    (tmp_path / "of_the_user.txt").touch()
    assert refusal(main, tmp_path, *arguments) == "2"
    assert said in capsys.readouterr().err.splitlines()[-1]
