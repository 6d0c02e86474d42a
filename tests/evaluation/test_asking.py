"""A model is asked as DIFFA was: its words, its passes, and no stop before the last token."""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from engines.checkpoints import Checkpoint
from engines.diffa import Engine
from engines.evaluation.benchmarks.answering import EngineAnswerer, how_asked
from engines.evaluation.benchmarks.catalogue import BENCHMARKS, Decoding
from engines.evaluation.benchmarks.items import Item
from engines.evaluation.benchmarks.speed import measure
from engines.schedule import Steps, Threshold
from tests.engines.support import FakeBackend
from tests.evaluation.spoken import sounds
from tests.evaluation.test_benchmark_commands import NANO

MMSU, MMAU, VOICEBENCH = (BENCHMARKS[name] for name in ("mmsu", "mmau", "voicebench"))


class Parrot(FakeBackend):
    """Says the same to everybody."""

    def admit(self, context, schedule):
        self.admitted.append(len(context))
        return 0


@pytest.fixture(scope="module")
def bidirectional(tmp_path_factory) -> Checkpoint:
    """nano's hearing and words, declared to be of DIFFA's kind."""
    folder = Path(shutil.copytree(NANO, tmp_path_factory.mktemp("model") / "diffa"))
    path = folder / "model.toml"
    text = path.read_text().replace('"block-causal"', '"bidirectional"')
    path.write_text(text.replace('cache = "exact"', 'cache = "dual"'))
    return Checkpoint.open(folder)


def ids(checkpoint, *words):
    encode = checkpoint.tokenizer.encode
    return [i for word in words for i in encode(word, add_special_tokens=False).ids]


def answered(checkpoint, benchmark, said, decoding):
    stop = checkpoint.stop_ids[0]
    said = [stop if token is None else token for token in said]
    said += [stop] * (64 - len(said))
    backend = Parrot({0: said}, block_causal=False, mask_id=checkpoint.manifest.lm.mask_token_id)
    answerer = EngineAnswerer(Engine(checkpoint, backend), benchmark, decoding, batch=2)
    (sound,) = sounds(["hello"]).values()
    items = [Item("advbench", "test", place, {}, sound) for place in range(3)]
    groups = list(answerer.answer(items))
    return [answer for group in groups for answer in group.answers], backend


def test_what_is_behind_a_stop_token_is_decoded_and_kept_as_diffa_does(bidirectional):
    yes, no = ids(bidirectional, " yes", " no")
    said = [yes, None, no]
    answers, backend = answered(bidirectional, VOICEBENCH, said, VOICEBENCH.decoding)
    assert [answer.response for answer in answers] == ["yes no"] * 3
    assert {answer.passes for answer in answers} == {16}
    assert {answer.tokens for answer in answers} == {16}
    assert len(backend.released) == 3


def test_the_checkpoints_own_decoding_stops_where_the_model_does(bidirectional):
    yes, no = ids(bidirectional, " yes", " no")
    answers, _ = answered(bidirectional, VOICEBENCH, [yes, None, no], None)
    assert [answer.response for answer in answers] == ["yes"] * 3


def test_the_settings_are_those_of_diffas_scripts(bidirectional):
    for benchmark, length in ((MMSU, 4), (MMAU, 16), (VOICEBENCH, 16)):
        asked = how_asked(bidirectional, benchmark, benchmark.decoding, None)
        schedule = asked.schedule
        assert (schedule.max_new_tokens, schedule.block_length) == (length, length)
        assert (schedule.rule, schedule.cache) == (Steps(length), "none")
        assert (schedule.temperature, schedule.cfg_scale, asked.stops) == (0, 0, False)
        assert asked.described["decoding"].endswith("temperature 0, to the last token")


def test_steps_are_shared_by_the_blocks(bidirectional):
    schedule = how_asked(bidirectional, MMAU, Decoding(8, 4, 16), "prefix").schedule
    assert (schedule.rule, schedule.blocks, schedule.cache) == (Steps(2), 4, "prefix")


def test_a_block_causal_model_stops_and_keeps_its_exact_cache():
    nano = Checkpoint.open(NANO)
    asked = how_asked(nano, MMSU, MMSU.decoding, None)
    assert (asked.stops, asked.schedule.cache) == (True, "exact")
    own = how_asked(nano, MMSU, None, None).schedule
    assert own.rule == Threshold(nano.manifest.decoding.threshold)


def test_a_sound_that_does_not_decode_costs_no_pass(bidirectional):
    backend = Parrot({0: [5] * 16}, block_causal=False, mask_id=99)
    answerer = EngineAnswerer(Engine(bidirectional, backend), VOICEBENCH, Decoding(1, 16, 16))
    (group,) = answerer.answer([Item("advbench", "test", 0, {}, b"no sound")])
    assert group.answers[0].error.startswith("not a recording")
    assert (backend.passes, group.busy_s, group.filled_s) == ([], 0, 0)
    assert np.isfinite(group.wall_s)


def test_a_batch_is_filled_before_it_is_denoised_however_quick_that_is(bidirectional):
    """Four passes take no time here, every sound takes some to be encoded."""
    stop = bidirectional.stop_ids[0]
    mask = bidirectional.manifest.lm.mask_token_id
    backend = Parrot({0: [stop] * 8}, block_causal=False, mask_id=mask)
    engine = Engine(bidirectional, backend)
    answerer = EngineAnswerer(engine, VOICEBENCH, Decoding(4, 4, 4), batch=8)
    (sound,) = sounds(["hello"]).values()
    items = [Item("advbench", "test", place, {}, sound) for place in range(19)]
    groups = list(answerer.answer(items))
    assert [len(queries) for queries in backend.passes] == [8] * 8 + [3] * 4
    assert [len(group.answers) for group in groups] == [8, 8, 3]
    answers = [asdict(answer) for group in groups for answer in group.answers]
    times = ("wall_s", "busy_s", "denoising_s", "filled_s")
    spent = {name: sum(getattr(group, name) for group in groups) for name in times}
    speed = measure([*answers[:-1], answers[-1] | spent])
    assert 3 / 8 < speed.filled < 1
    assert 0 < speed.denoising <= 1


def test_a_sound_that_fails_is_told_before_the_batch_is_full(bidirectional):
    backend = Parrot({0: [5] * 16}, block_causal=False, mask_id=99)
    answerer = EngineAnswerer(Engine(bidirectional, backend), VOICEBENCH, Decoding(1, 16, 16))
    items = [Item("advbench", "test", place, {}, b"no sound") for place in range(30)]
    assert len(list(answerer.answer(items))) > 2
