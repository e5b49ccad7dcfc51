import sys
import time

import pytest

from mlx_t2.benchmarks import Measurement
from mlx_t2.benchmarks.measurement import interleave, peak_mb


def test_a_ratio_above_one_is_better_whatever_the_unit():
    assert Measurement("", 2.0, 6.0, "").ratio == 3.0
    assert Measurement("", 6.0, 2.0, "", "tokens/s").ratio == 3.0
    assert Measurement("", 1e-6, None, "", "relative error").ratio is None
    assert Measurement("", 0.0, 1.0, "").ratio is None


def test_both_sides_run_in_turn_and_the_first_of_each_does_not_count():
    turns = []

    def side(name, seconds):
        def work():
            turns.append(name)
            time.sleep(0.2 if len(turns) <= 2 else seconds)

        return work

    ours, other = interleave(side("ours", 0.001), side("other", 0.02), 3)
    assert turns == ["ours", "other"] * 4
    assert ours < other < 0.15


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_a_process_is_what_its_work_adds():
    grown = peak_mb("a = bytearray(60_000_000)", "b = bytearray(b'x') * 200_000_000; del b")
    assert 150 < grown < 260
