from maxvit_mm.measure.peers import Work
from maxvit_mm.measure.tables import growth_table, table
from maxvit_mm.measure.timing import Row


def test_ratios_are_in_times_of_ours_and_the_share_is_of_the_matrix_products_rate():
    work = Work("training step", 4, 224, 224, "fp32", False, False)
    row = Row(work, {"maxvit_mm": 0.5, "peer": 1.0, "other": None}, {}, multiply_adds=10**9, peak_rate=24e9)
    line = table([row._replace(peak_bytes=dict.fromkeys(row.seconds))], list(row.seconds)).splitlines()[-1]
    assert line.split(" | ")[1:] == ["500 ms (1.00)", "1000 ms (2.00)", "cannot", "8", "50% |"]


def test_many_images_a_second_are_written_out():
    work = Work("forward", 256, 224, 224, "fp32", False, False)
    row = Row(work, {"maxvit_mm": 0.2}, {}, multiply_adds=10**9, peak_rate=24e9)
    assert "| 1280 |" in table([row], ["maxvit_mm"])


def test_what_ours_cannot_leaves_its_share_empty():
    work = Work("training step", 4, 224, 224, "fp32", False, False)
    row = Row(work, {"maxvit_mm, deployed": None, "peer": 1.0}, {}, multiply_adds=10**9, peak_rate=24e9)
    line = table([row._replace(peak_bytes=dict.fromkeys(row.seconds))], list(row.seconds)).splitlines()[-1]
    assert line.split(" | ")[1:] == ["cannot", "1000 ms", "", " |"]


def test_growth_is_told_in_microseconds_a_pixel():
    line = growth_table([100], {"partition 7": [0.02], "other": [0.05]}).splitlines()[-1]
    assert line == "| 100 x 100 | 20 ms | 2.00 | 50 ms | 5.00 |"
