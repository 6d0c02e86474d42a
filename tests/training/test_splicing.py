"""People's sentences are cut where nobody speaks, and joined to what the same person said."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tokenizers import Tokenizer  # noqa: E402

from engines.training.corpus import Corpus, CorpusError, CorpusWriter  # noqa: E402
from engines.training.runs import RunError  # noqa: E402
from engines.training.splicing import Cuts, cut, joined, spans, splice  # noqa: E402

BLANK = 1


def spelled(pieces, size=128):
    """Log-probabilities [S, V] of a sound that spells one piece in each frame."""
    log_probability = np.full((len(pieces), size), np.log(0.1 / (size - 1)), np.float32)
    log_probability[np.arange(len(pieces)), pieces] = np.log(0.9)
    return log_probability


def test_a_word_spans_the_frames_in_which_it_is_spelled():
    sound = spelled([BLANK, 7, 7, BLANK, 8, BLANK, BLANK, 9, 9, 9, BLANK])
    assert spans(sound, [[7, 8], [9]], BLANK) == [[1, 5], [7, 10]]


@pytest.mark.parametrize(
    "words", [[[5, 6], [4]], [[7]] * 12], ids=["said otherwise", "more than fit"]
)
def test_what_was_not_said_has_no_spans(words):
    sound = spelled([BLANK, 7, 7, BLANK, 8, BLANK, BLANK, 9, 9, 9, BLANK])
    assert spans(sound, words, BLANK) == []


class Speller(torch.nn.Module):
    """Spells what it is told, whatever it hears."""

    blank = BLANK

    def __init__(self, pieces):
        super().__init__()
        self.pieces = pieces

    def forward(self, _features, _lengths):
        said = torch.from_numpy(spelled(self.pieces))[None]
        return said, said, torch.tensor([said.shape[1]])


def test_a_clip_is_cut_where_it_is_quiet(tmp_path, run):
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    audio = np.random.default_rng(0).normal(0, 5000, 12 * 1280).astype(np.int16)
    audio[7100:7500] = 0  # between the middles of frames 4 and 7
    with CorpusWriter(tmp_path) as writer:
        writer.add(audio, text="stop time", speaker="a", source="test")
    stop, time = (tokenizer.encode(word).ids for word in ("stop", "time"))
    frames = [BLANK] * 12
    frames[5 - len(stop) : 5] = stop
    frames[7 : 7 + len(time)] = time
    corpus = Corpus(tmp_path)
    found = cut(Speller(frames), corpus, corpus.clips[0], tokenizer)
    assert found.words == ("stop", "time")
    start, between, end = found.places
    assert (start, end) == (0, len(audio))
    assert 7100 < between < 7500


def test_parts_of_one_person_are_joined_with_their_words(tmp_path):
    loud = {"one": 1000, "two": 2000, "three": 3000, "four": 4000}
    with CorpusWriter(tmp_path) as writer:
        for speaker, said in (("a", "one two"), ("b", "three four")):
            audio = np.concatenate([np.full(400, loud[word], np.int16) for word in said.split()])
            writer.add(audio, text=said, speaker=speaker, source="test")
    corpus = Corpus(tmp_path)
    cuts = [Cuts(clip, tuple(clip.text.split()), (0, 400, 800)) for clip in corpus]
    texts = set()
    for audio, text, clip in itertools.islice(joined(corpus, cuts, seed=0), 1000):
        words = text.split()
        assert len(audio) == 400 * len(words)
        assert [loud[word] for word in words] == audio[200::400].tolist()
        assert set(words) <= set(clip.text.split())
        texts.add(text)
    assert {"two", "two one", "three four three"} <= texts


def test_an_encoder_that_understands_nobody_cuts_nothing(trained, tmp_path):
    import shutil

    run = shutil.copytree(trained, tmp_path / "run")
    with pytest.raises(CorpusError, match="no clip is understood well enough to be cut; teach"):
        list(splice(run, clips=3, seed=0))
    assert not (run / "spliced").exists()


def test_an_encoder_must_have_learnt_before(run):
    with pytest.raises(RunError, match="run first: assistant train encoder"):
        list(splice(run, clips=3, seed=0))
