"""Which prompt is read next and how much of it, with clocks that are told the time."""

import pytest
from orders import order

from mlx_t2.serving import ServingConfig
from mlx_t2.serving.schedule import Job, Schedule
from mlx_t2.serving.table import ExpertTable
from mlx_t2.serving.ticket import Ticket

CONFIG = ServingConfig(chunk_tokens=512, wait_s=0.25)


def job(left, pace=0.0):
    return Job((read for read in ()), left, Ticket(1, order(), print, ExpertTable()), pace=pace)


def schedule(*jobs) -> Schedule:
    made = Schedule(CONFIG)
    made.jobs += jobs
    return made


def play(plan: Schedule, seconds_per_token, is_waited_for=True):
    """One round; returns what was read: (job, tokens)."""
    plan.begin_round(is_waited_for)
    read = []
    while (chosen := plan.choose()) is not None:
        count = min(plan.piece, chosen.left)
        chosen.left -= count
        if not chosen.left:
            plan.jobs.remove(chosen)
        plan.note(chosen, count, seconds_per_token * (count + 32))
        read.append((chosen, count))
    return read


def test_a_piece_takes_about_its_time_however_long_a_token_takes():
    for pace in (5e-4, 0.25 / 330, 1e-3, 2e-3):
        one = job(4096, pace)
        ((_, count),) = play(schedule(one, job(9999)), pace)
        assert count % 64 == 0
        assert 0.25 - 64 * pace < (count + 32) * pace <= 0.25


def test_pieces_are_no_longer_than_they_may_be_and_no_shorter_than_is_of_use():
    assert play(schedule(job(4096, 1e-6)), 1e-6)[0][1] == 512
    assert play(schedule(job(4096, 1.0)), 1.0)[0][1] == 64
    assert play(schedule(job(4096, 1.0)), 1.0, is_waited_for=False)[0][1] == 128


def test_pieces_get_shorter_as_tokens_take_longer_behind_others():
    one = job(4096)
    plan = schedule(one, job(99999))
    counts = [play(plan, pace)[0][1] for pace in (1e-4, 5e-4, 1e-3, 2e-3, 2e-3)]
    assert counts == [64, 512, 448, 192, 64]


def test_what_one_prompt_has_before_it_says_nothing_of_anothers_tokens():
    deep, other = job(500, 4e-3), job(4096, 1e-3)
    plan = schedule(deep)
    play(plan, 4e-3)
    plan.jobs[:] = [other]
    assert play(plan, 1e-3)[0][1] == 192


def test_the_first_piece_of_all_is_short_and_a_new_prompt_goes_by_the_others():
    plan = schedule(job(4096), job(9999))
    assert [play(plan, 1e-3)[0][1] for _ in range(2)] == [64, 192]
    plan.jobs[:] = [job(4096), job(9999)]
    assert play(plan, 1e-3)[0][1] == 192


def test_where_nobody_waits_pieces_are_longer_and_still_end_soon():
    assert play(schedule(job(9999, 1e-6)), 1e-6, is_waited_for=False)[0][1] == 2048
    assert play(schedule(job(9999, 1e-3)), 1e-3, is_waited_for=False)[0][1] == 448
    assert play(schedule(job(9999, 1e-3)), 1e-3)[0][1] == 192
    two = schedule(job(9999, 1e-3), job(9999, 1e-3))
    assert play(two, 1e-3, is_waited_for=False)[0][1] == 192


def test_the_shortest_is_read_first_and_nothing_long_behind_it_in_the_same_round():
    long, short = job(4096, 1e-3), job(40, 1e-3)
    assert play(schedule(long, short), 1e-3) == [(short, 40)]


def test_short_ones_are_read_in_one_round_as_far_as_its_time_goes():
    shorts = [job(30, 1e-3) for _ in range(6)]
    plan = schedule(job(4096, 1e-3), *shorts)
    first = play(plan, 1e-3)
    assert [one for one, _ in first] == shorts[:5]  # 5 · (30 + 32) ms
    assert play(plan, 1e-3) == [(shorts[5], 30)]


def test_the_oldest_is_overtaken_four_times_and_then_goes_on():
    long = job(4096, 1e-3)
    plan = schedule(long)
    read = []
    for _ in range(11):
        plan.jobs += [job(200, 1e-3) for _ in range(2)]
        read.append(play(plan, 1e-3)[0][0] is long)
    assert read == [False] * 4 + [True] + [False] * 4 + [True] + [False]


def test_an_oldest_that_was_read_is_overtaken_as_often_again():
    long, short = job(4096, 1e-3), job(9999, 1e-3)
    plan = schedule(long, short)
    short.left = 100
    play(plan, 1e-3)
    assert play(plan, 1e-3)[0][0] is long
    plan.jobs += [job(190, 1e-3) for _ in range(9)]
    assert [play(plan, 1e-3)[0][0] is long for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.parametrize("is_waited_for", [True, False])
def test_without_prompts_nothing_is_read(is_waited_for):
    assert play(schedule(), 1e-3, is_waited_for) == []
