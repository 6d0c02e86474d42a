from dataclasses import replace

import numpy as np
import pytest

from engines.backends import Context
from engines.decoding import Decoder, Request, decode
from engines.schedule import Exactly, Factor, Schedule, Steps, Threshold, quota
from engines.scoring import score
from tests.engines.support import MASK, FakeBackend

STOP = 7


def request(schedule, prompt=1, template=()):
    return Request(Context((prompt, prompt)), schedule, template)


def tokens(events):
    return [token for event in events for token in event.tokens]


def ranked(*probabilities):
    return np.log(np.array(probabilities, dtype=np.float32))


def test_a_fixed_schedule_gives_the_remainder_to_the_first_passes():
    assert [quota(Steps(4), ranked(0.5), done, 10) for done in range(4)] == [3, 3, 2, 2]


def test_a_threshold_counts_what_is_at_least_as_probable():
    assert quota(Threshold(0.9), ranked(0.99, 0.91, 0.89, 0.1), 0, 4) == 2


def test_any_proposal_is_over_a_threshold_of_0_and_a_certain_one_over_1():
    assert quota(Threshold(0.0), ranked(0.5, 0.1), 0, 2) == 2
    certain = np.array([-1e-20, -1e-3], dtype=np.float32)  # 1 in double precision, and less
    assert quota(Threshold(1.0), certain, 0, 2) == 1


def test_the_factor_rule_takes_the_largest_group_that_is_safe_in_parallel():
    # 2 * 0.1 and 3 * 0.2 are below 1, 4 * 0.3 is not
    assert quota(Factor(1.0), ranked(0.9, 0.8, 0.7), 0, 3) == 2


def test_the_most_probable_positions_are_committed_first():
    fake = FakeBackend({1: [10, 11, 12, 13]}, {1: [0.1, 0.9, 0.3, 0.8]})
    list(decode(fake, [request(Schedule(4, 4, Exactly(2)))]))
    assert [list(each[0].active) for each in fake.passes] == [[0, 1, 2, 3], [0, 2]]


def test_a_tie_goes_to_the_first_position():
    fake = FakeBackend({1: [10, 11, 12]}, {1: [0.5, 0.5, 0.5]})
    list(decode(fake, [request(Schedule(3, 3, Exactly(1)))]))
    assert [list(each[0].active) for each in fake.passes] == [[0, 1, 2], [1, 2], [2]]


def test_a_pass_that_convinces_nobody_still_commits_one_token():
    fake = FakeBackend({1: [10, 11, 12]}, {1: [0.1, 0.3, 0.2]})
    events = list(decode(fake, [request(Schedule(3, 3, Threshold(0.9)))]))
    assert tokens(events) == [10, 11, 12]
    assert events[-1].passes == 3


def test_a_sure_end_cuts_off_what_was_unsure_before_it():
    fake = FakeBackend({1: [10, 11, STOP, STOP]}, {1: [0.3, 0.4, 0.99, 0.99]})
    schedule = Schedule(4, 4, Exactly(1), stop_ids=(STOP,))
    list(decode(fake, [request(schedule)]))
    assert [list(each[0].active) for each in fake.passes] == [[0, 1, 2, 3], [0, 1], [0]]


def test_a_cautious_end_waits_for_everything_before_it():
    fake = FakeBackend({1: [10, 11, STOP, STOP]}, {1: [0.3, 0.4, 0.99, 0.99]})
    schedule = Schedule(4, 4, Exactly(1), stop_ids=(STOP,), cautious_end=True)
    events = list(decode(fake, [request(schedule)]))
    assert [list(each[0].active) for each in fake.passes][:2] == [[0, 1, 2, 3], [0, 2, 3]]
    assert tokens(events) == [10, 11]
    assert events[-1].stopped


def test_a_cautious_end_costs_no_pass_when_everything_before_it_is_sure():
    fake = FakeBackend({1: [10, 11, STOP, 12]}, {1: [0.95, 0.97, 0.99, 0.2]})
    schedule = Schedule(4, 4, Threshold(0.9), stop_ids=(STOP,), cautious_end=True)
    events = list(decode(fake, [request(schedule)]))
    assert tokens(events) == [10, 11]
    assert events[-1].passes == 1


def test_blocks_are_streamed_as_they_finish():
    fake = FakeBackend({1: [10, 11, 12, 13]})
    events = list(decode(fake, [request(Schedule(4, 2, Exactly(1)))]))
    assert [(event.block, event.tokens, event.passes) for event in events] == [
        (0, (10, 11), 2),
        (1, (12, 13), 4),
    ]
    assert [event.last for event in events] == [False, True]


def test_what_follows_a_stop_token_is_dropped_and_costs_no_pass():
    fake = FakeBackend({1: [10, STOP, 12, 13, 14, 15]}, {1: [0.2, 0.9, 0.3, 0.1, 0.9, 0.9]})
    schedule = Schedule(6, 3, Exactly(1), stop_ids=(STOP,))
    events = list(decode(fake, [request(schedule)]))
    assert [(event.tokens, event.stopped, event.last) for event in events] == [((10,), True, True)]
    assert [list(each[0].active) for each in fake.passes] == [[0, 1, 2], [0]]


def test_given_positions_are_kept_and_only_the_gaps_are_decoded():
    fake = FakeBackend({1: [10, 11, 12, 13]})
    events = list(
        decode(fake, [request(Schedule(4, 4, Exactly(4)), template=(50, None, 52, None))])
    )
    assert tokens(events) == [50, 11, 52, 13]
    assert events[0].confidence[0] == 1.0
    assert events[0].confidence[1] == pytest.approx(0.5)


def test_a_response_that_is_given_whole_costs_no_pass():
    fake = FakeBackend({})
    events = list(decode(fake, [request(Schedule(2, 2), template=(50, 51))]))
    assert tokens(events) == [50, 51]
    assert fake.passes == []
    assert fake.released == [1]


def test_an_exact_cache_computes_a_finished_block_once_more_along_with_the_next():
    fake = FakeBackend({1: [10, 11, 12, 13]})
    list(decode(fake, [request(Schedule(4, 2, Exactly(1)))]))
    spans = [(each[0].begin, each[0].end) for each in fake.passes]
    assert spans == [(-2, 2), (0, 2), (0, 4), (2, 4)]


@pytest.mark.parametrize(
    ("cache", "later"), [("none", (-2, 4)), ("prefix", (0, 4)), ("dual", (0, 2))]
)
def test_each_cache_recomputes_its_part_after_the_first_pass_of_a_block(cache, later):
    fake = FakeBackend({1: [10, 11, 12, 13]}, block_causal=False)
    list(decode(fake, [request(Schedule(4, 2, Exactly(1), cache))]))
    spans = [(each[0].begin, each[0].end) for each in fake.passes]
    assert spans[:2] == [(-2, 4), later]


def test_a_cache_that_does_not_suit_the_model_is_refused():
    with pytest.raises(ValueError, match="cannot use cache 'dual'"):
        list(decode(FakeBackend({1: [1]}), [request(Schedule(1, 1, cache="dual"))]))


def test_a_template_longer_than_the_response_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        Decoder(FakeBackend({})).add(request(Schedule(2, 2), template=(1, 2, 3)))


def test_looking_ahead_denoises_the_next_block_in_the_same_pass():
    fake = FakeBackend({1: [10, 11, 12, 13]})
    schedule = Schedule(4, 2, Exactly(1), lookahead=1, lookahead_from=0.5)
    events = list(decode(fake, [request(schedule)]))
    assert tokens(events) == [10, 11, 12, 13]
    assert [list(each[0].active) for each in fake.passes] == [[0, 1], [1, 2, 3], [3]]


def test_a_block_is_looked_at_once_enough_of_the_one_before_it_is_committed():
    fake = FakeBackend({1: range(10, 22)}, {1: [0.1] * 12})
    schedule = Schedule(12, 4, Exactly(1), lookahead=2, lookahead_from=0.75)
    list(decode(fake, [request(schedule)]))
    ends = [each[0].end for each in fake.passes]
    assert ends[:4] == [4, 4, 4, 8]


def test_a_block_looked_at_gets_only_what_the_rule_grants():
    fake = FakeBackend({1: range(10, 18)}, {1: [0.1] * 4 + [0.95, 0.2, 0.2, 0.95]})
    schedule = Schedule(8, 4, Threshold(0.9), lookahead=1, lookahead_from=0.25, activation=1.0)
    list(decode(fake, [request(schedule)]))
    assert [list(each[0].active) for each in fake.passes][:5] == [
        [0, 1, 2, 3],
        [1, 2, 3, 4, 5, 6, 7],
        [2, 3, 5, 6],
        [3, 5, 6],
        [5, 6],
    ]


def test_a_block_behind_one_that_is_nearly_done_always_moves_on():
    fake = FakeBackend({1: range(10, 18)}, {1: [0.1] * 8})
    schedule = Schedule(8, 4, Threshold(0.9), lookahead=1, lookahead_from=0.25, activation=0.5)
    events = list(decode(fake, [request(schedule)]))
    assert [list(each[0].active) for each in fake.passes] == [
        [0, 1, 2, 3],
        [1, 2, 3, 4, 5, 6, 7],
        [2, 3, 4, 5, 6, 7],
        [3, 5, 6, 7],
        [6, 7],
        [7],
    ]
    assert tokens(events) == list(range(10, 18))


@pytest.mark.parametrize("cache", ["none", "prefix", "dual"])
def test_looking_ahead_works_with_every_cache_of_a_bidirectional_model(cache):
    fake = FakeBackend({1: range(10, 18)}, block_causal=False)
    schedule = Schedule(8, 4, Exactly(2), cache, lookahead=1, lookahead_from=0.5)
    events = list(decode(fake, [request(schedule)]))
    assert tokens(events) == list(range(10, 18))
    assert events[-1].passes == 3


@pytest.mark.parametrize("cache", ["prefix", "dual"])
def test_a_block_that_was_looked_at_is_computed_with_all_the_rest_when_its_turn_comes(cache):
    fake = FakeBackend({1: range(10, 22)}, block_causal=False)
    schedule = Schedule(12, 4, Exactly(2), cache, lookahead=1, lookahead_from=0.5)
    list(decode(fake, [request(schedule)]))
    firsts = [each[0].begin for each in fake.passes]
    assert firsts == [-2, 0, -2, -2]  # blocks 1 and 2 are done one pass after their turn came


def test_a_block_that_was_looked_at_in_vain_is_decoded_all_the_same():
    fake = FakeBackend({1: range(10, 42)}, {1: [0.1] * 32})
    schedule = Schedule(32, 8, Threshold(0.9), lookahead=3, lookahead_from=0.0, activation=1.0)
    events = list(decode(fake, [request(schedule)]))
    assert tokens(events) == list(range(10, 42))


def test_nothing_is_looked_at_behind_a_stop_token():
    fake = FakeBackend({1: [10, STOP, 12, 13]}, {1: [0.1, 0.9, 0.9, 0.9]})
    schedule = Schedule(4, 2, Exactly(1), lookahead=1, stop_ids=(STOP,))
    list(decode(fake, [request(schedule)]))
    assert all(each[0].end == 2 for each in fake.passes)


def test_requests_with_their_own_settings_share_passes():
    fake = FakeBackend({1: [10, 11, 12, 13], 2: [20, 21]})
    requests = [request(Schedule(4, 4, Exactly(1))), request(Schedule(2, 2, Exactly(2)), prompt=2)]
    events = list(decode(fake, requests))
    assert [(event.handle, event.tokens) for event in events] == [
        (1, (20, 21)),
        (0, (10, 11, 12, 13)),
    ]
    assert [len(each) for each in fake.passes] == [2, 1, 1, 1]


def test_a_request_joins_between_passes_and_another_waits_for_room():
    fake = FakeBackend({1: [10, 11], 2: [20, 21], 3: [30, 31]})
    decoder = Decoder(fake, batch=2)
    schedule = Schedule(2, 2, Exactly(1))
    decoder.add(request(schedule))
    decoder.step()
    decoder.add(request(schedule, prompt=2))
    decoder.add(request(schedule, prompt=3))
    made = []
    while decoder.busy:
        made += decoder.step()
    assert [event.handle for event in made] == [0, 1, 2]
    assert [[query.state for query in each] for each in fake.passes] == [[1], [1, 2], [2, 3], [3]]


def test_what_is_finished_is_told_before_a_request_that_cannot_be_admitted_is_refused(monkeypatch):
    fake = FakeBackend({1: [10, 11], 2: [20, 21]})
    decoder = Decoder(fake)
    given = decoder.add(request(Schedule(2, 2), template=(10, 11)))
    decoder.add(request(Schedule(2, 2), prompt=2))

    def refuse(context, schedule):
        if context.prompt[0] == 2:
            raise MemoryError
        return FakeBackend.admit(fake, context, schedule)

    monkeypatch.setattr(fake, "admit", refuse)
    (event,) = decoder.step()
    assert (event.handle, event.tokens, event.last) == (given, (10, 11), True)
    with pytest.raises(MemoryError):
        decoder.step()
    assert not decoder.busy


def test_a_cancelled_request_leaves_and_the_others_go_on():
    fake = FakeBackend({1: [10, 11], 2: [20, 21]})
    decoder = Decoder(fake)
    schedule = Schedule(2, 2, Exactly(1))
    first, second = decoder.add(request(schedule)), decoder.add(request(schedule, prompt=2))
    decoder.step()
    decoder.cancel(first)
    made = decoder.step()
    assert [event.handle for event in made] == [second]
    assert not decoder.busy
    assert fake.released == [1, 2]


def test_cancelling_stops_between_two_passes_and_frees_everything():
    fake = FakeBackend({1: [10, 11, 12, 13]})
    events = decode(
        fake, [request(Schedule(4, 4, Exactly(1)))], cancel=lambda: len(fake.passes) == 2
    )
    assert list(events) == []
    assert len(fake.passes) == 2
    assert fake.released == [1]


def test_a_listener_that_goes_away_frees_everything():
    fake = FakeBackend({1: [10, 11]})
    events = decode(fake, [request(Schedule(2, 1, Exactly(1)))])
    next(events)
    events.close()
    assert fake.released == [1]


def test_a_model_that_only_proposes_masks_does_not_hang():
    fake = FakeBackend({1: [MASK, MASK]})
    events = list(decode(fake, [request(Schedule(2, 2, Exactly(1)))]))
    assert len(events) == 1
    assert len(fake.passes) == 4


def test_a_block_with_a_mask_left_behind_is_told_once_a_later_pass_has_filled_it():
    says = [10, MASK, 12, 13]
    fake = FakeBackend({1: says}, {1: [0.9, 0.8, 0.7, 0.1]}, block_causal=False)
    decoder = Decoder(fake)
    decoder.add(request(Schedule(4, 2, Steps(1), "none")))
    assert decoder.step() == []
    says[1] = 11
    events = decoder.step()
    assert [list(each[0].active) for each in fake.passes] == [[0, 1], [1, 2, 3]]
    # two tokens for the second block's one step: the mask took the place of one
    assert [event.tokens for event in events] == [(10, 11), (12, MASK)]
    assert [event.last for event in events] == [False, True]


def test_steps_that_have_nothing_left_to_grant_fill_no_mask():
    fake = FakeBackend({1: [MASK, 11]}, {1: [0.9, 0.8]}, block_causal=False)
    decoder = Decoder(fake)
    decoder.add(request(Schedule(2, 2, Steps(4), "none")))
    decoder.step()
    fake.says, fake.sure = {1: [10, 11]}, {1: [0.1, 0.8]}
    decoder.step()
    decoder.step()
    (event,) = decoder.step()
    assert event.tokens == (MASK, 11)
    assert event.passes == 4


def test_room_for_tokens_is_rounded_up_to_whole_blocks():
    assert replace(Schedule(), max_new_tokens=33, block_length=32).blocks == 2


def test_scoring_weighs_every_token_once_with_the_others_in_sight():
    fake = FakeBackend({}, {1: [0.5, 0.25, 0.125, 0.5]})
    schedule = Schedule(block_length=4)
    (scores,) = score(fake, Context((1,)), [[10, 11]], schedule, end_id=0)
    np.testing.assert_allclose(np.exp(scores), [0.5, 0.25, 0.125])
    _, candidates = fake.passes
    assert [(query.begin, query.end) for query in candidates] == [(0, 4), (0, 4)]
    assert [list(query.response) for query in candidates] == [[MASK, 11, MASK, 0], [10, MASK, 0, 0]]
    assert len(fake.released) == 3
