"""Learning curves: parts of training one after the other, and a table of them."""

from pathlib import Path

from pipeline.curves import joined, write_curve

FIRST = [
    {"step": 3, "epoch": 1, "loss": 2.5, "dev_f1": 10.0},
    {"step": 6, "epoch": 2, "loss": 1.5, "dev_f1": 9.0},
]
SECOND = [{"step": 2, "epoch": 1, "loss": 7.0, "dev_f1": 20.0}]


def test_the_second_goes_on_where_the_first_ends():
    last = {"step": 8, "epoch": 3, "loss": 7.0, "dev_f1": 20.0}
    assert joined(FIRST, SECOND) == [*FIRST, last]
    assert joined([], FIRST) == FIRST == joined(FIRST, [])


def test_the_curve_is_a_table(tmp_path: Path):
    write_curve(tmp_path / "c.csv", [{"step": 3, "epoch": 1, "loss": 0.5, "dev_f1": 80.0}])
    assert (tmp_path / "c.csv").read_text() == "step,epoch,loss,dev_f1\n3,1,0.5,80.0\n"
