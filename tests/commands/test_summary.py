import pytest

from maxvit_mm.commands.summary import main
from maxvit_mm.openmmlab import task_packages


def test_the_command_prints_parts_and_a_table(capsys):
    main(["mask_rcnn_maxvit_t_coco", "tiny"])
    out = capsys.readouterr().out
    assert "mask_rcnn_maxvit_t_coco, image 800 x 1344" in out  # of 1333 x 800, padded
    assert "| tiny | 224 x 224 | 30.9M | 5.6G |  |  |" in out
    (row,) = [line for line in out.splitlines() if line.startswith("| mask_rcnn_maxvit_t_coco")]
    assert row.startswith("| mask_rcnn_maxvit_t_coco | 800 x 1344 | 50.3M | ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mask_rcnn_maxvit_pico_shapes"], "say it with --shape HEIGHT WIDTH"),
        (["mask_rcnn_maxvit_t"], "nearest of ours: mask_rcnn_maxvit_t_coco"),
    ],
)
def test_what_cannot_be_counted_is_said(arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(arguments)


def test_a_framework_that_is_missing_is_said_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(task_packages, "find_spec", lambda name: None)
    (tmp_path / "mine.py").write_text("default_scope = 'mmseg'")
    with pytest.raises(
        SystemExit, match=r"^mine is for MMSegmentation, which is not installed: run `pip inst"
    ):
        main([str(tmp_path / "mine.py")])


def test_an_image_too_small_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["tiny", "--shape", "16", "16"])
    assert "32 x 32 pixels or more" in capsys.readouterr().err
