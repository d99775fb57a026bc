from study.plots import time_points
from tests.study.conftest import row


def test_lengths_are_points_of_their_own_in_order_of_time_even_where_their_steps_are_alike():
    rows = [
        row("scratch", 1.0, 0, 0.30, cpu_s=200.0),
        row("scratch", 1.0, 1, 0.32, cpu_s=220.0),
        row("scratch", 1.0, 0, 0.25, cpu_s=90.0, part="time", variant="short"),
        row("scratch", 1.0, 0, 0.27, cpu_s=110.0, part="time", variant="short, with more"),
        row("scratch", 0.5, 0, 0.99),
        row("pretrained", 0.5, 0, 0.99),
        row("scratch", 1.0, 0, 0.99, part="ablation", variant="no mirroring"),
    ]
    assert time_points(rows, "scratch", "cpu_s") == [(90.0, [0.25]), (110.0, [0.27]), (210.0, [0.30, 0.32])]
