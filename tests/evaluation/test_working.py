"""An engine is busy while any of its parts is, and no moment counts twice."""

from engines.evaluation.benchmarks.working import Spent, Working


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def test_moments_in_which_two_parts_work_count_once():
    clock = Clock()
    working = Working(clock)
    with working.part():  # encodes from 0 to 5
        clock.now_s = 2
        with working.part(0.5):  # denoises from 2 to 4
            clock.now_s = 4
        clock.now_s = 5
    clock.now_s = 8
    with working.part(1.0):
        clock.now_s = 9
    assert working.taken() == Spent(6, 3, 2)
    assert working.taken() == Spent()


def test_work_under_way_is_counted_as_far_as_it_went():
    clock = Clock()
    working = Working(clock)
    with working.part(0.25):
        clock.now_s = 4
        assert working.taken() == Spent(4)
        clock.now_s = 8
    assert working.taken() == Spent(4, 8, 2)
