import pytest
from runs import TWO_STEPS

from maxvit_mm.commands.demo import main as demo

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_the_demo_ends_with_its_figures_and_where_to_look(tmp_path, capsys):
    metrics = demo(["--images", "4", "3", "--work-dir", "here", "--cfg-options", *TWO_STEPS])
    *_, figures, where = capsys.readouterr().out.strip().splitlines()
    box, mask = metrics["coco/bbox_mAP"], metrics["coco/segm_mAP"]
    assert figures == f"demo: bbox AP {box:.3f}, mask AP {mask:.3f}"
    assert where.startswith("demo: look at here: truth_beside_prediction.png, all 3 in pictures/")
    for name in ("truth_beside_prediction.png", "curves.png"):
        assert (tmp_path / "here" / name).stat().st_size > 1000
    assert len(list((tmp_path / "here/pictures").iterdir())) == 3
