"""Recognisers of others: one really listens, and those that are missing are named."""

import shutil
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from engines.evaluation import peers
from engines.evaluation.peers import PeerError, Word, open_peer, peer_name
from engines.training.voices import Voice, speak


def test_pocketsphinx_hears_words_and_nothing_in_silence():
    pytest.importorskip("pocketsphinx")
    if not shutil.which("flite"):
        pytest.skip("flite is not installed")
    peer = open_peer("pocketsphinx")
    said = speak(Voice("flite", "slt", "female"), "what time is it").astype(np.float32) / 32768
    first = peer.transcribe(said)
    assert {"what", "time"} & set(first.split())
    assert peer.transcribe(np.zeros(1600, np.float32)) == ""
    assert peer.transcribe(said) == first
    assert peer.name.startswith("pocketsphinx 5")
    words = peer.words(said)
    assert {"what", "time"} <= {word.text for word in words}
    assert all(0 <= word.probability <= 1 for word in words)
    assert all(0 <= word.begin < word.end <= len(said) + 160 for word in words)


def test_whispers_words_are_told_one_by_one(monkeypatch):
    package = ModuleType("faster_whisper")
    heard = [
        [SimpleNamespace(word=" What", start=0.1, end=0.35, probability=0.9)],
        [SimpleNamespace(word=" time?", start=0.5, end=1.0, probability=0.4)],
    ]

    class WhisperModel:
        def __init__(self, name, compute_type):
            assert name == "tiny.en"

        def transcribe(self, audio, **options):
            assert options["word_timestamps"]
            return (SimpleNamespace(words=words) for words in heard), None

    package.WhisperModel = WhisperModel
    monkeypatch.setitem(sys.modules, "faster_whisper", package)
    monkeypatch.setenv("WHISPER_MODEL", "tiny.en")
    assert open_peer("faster-whisper").words(np.zeros(16_000, np.float32)) == [
        Word("What", 1600, 5600, 0.9),
        Word("time?", 8000, 16_000, 0.4),
    ]


def test_a_recogniser_that_is_not_there_is_named_with_the_remedy():
    with pytest.raises(PeerError, match="use one of pocketsphinx, faster-whisper, vosk"):
        open_peer("kaldi")
    with pytest.raises(PeerError, match="vosk is not installed: pip install vosk"):
        open_peer("vosk")


def test_a_recogniser_is_called_what_it_would_load(monkeypatch):
    monkeypatch.setenv("WHISPER_MODEL", "tiny.en")
    monkeypatch.delenv("VOSK_MODEL", raising=False)
    assert peer_name("faster-whisper") == "faster-whisper tiny.en"
    assert peer_name("vosk") == "vosk small en-us"
    assert peer_name("kaldi") == "kaldi"


def test_a_recogniser_without_its_model_is_one_line_with_the_remedy(monkeypatch, capfd):
    package = ModuleType("vosk")

    class Model:
        def __init__(self, lang):
            raise ConnectionError(f"no {lang}.\nFailed to resolve 'alphacephei.com'")

        def __del__(self):
            self._handle.free()

    package.Model, package.SetLogLevel = Model, lambda _: None
    monkeypatch.setitem(sys.modules, "vosk", package)
    monkeypatch.delenv("VOSK_MODEL", raising=False)
    with pytest.raises(PeerError) as caught:
        open_peer("vosk")
    assert str(caught.value) == (
        "vosk small en-us cannot be loaded: no en-us; VOSK_MODEL may name a folder with a model of "
        "alphacephei.com"
    )
    caught = None
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", peers.PEERS)
def test_any_error_of_a_package_names_the_recogniser(name, monkeypatch):
    def breaks():
        raise RuntimeError

    _, *rest = peers.PEERS[name]
    monkeypatch.setitem(peers.PEERS, name, (breaks, *rest))
    with pytest.raises(PeerError, match=rf"{name} .*cannot be loaded: RuntimeError"):
        open_peer(name)
