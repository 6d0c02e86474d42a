import numpy as np
import pytest

from assistant.audio.vad import GatedVad, SileroVad, Vad, WebrtcVad, make_vad
from assistant.settings import VadSettings
from tests.audio.support import frames_of, hum, noise, silence, spoken

SENTENCE = "turn on the light in the kitchen please"
KINDS = ("both", "silero", "webrtc")


def judge(vad: Vad, sound: np.ndarray) -> np.ndarray:
    return np.array([vad.is_speech(frame.samples) for frame in frames_of(sound)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("voice", ["en-us", "en-gb+f3", "de"])
def test_speech_is_speech(kind: str, voice: str):
    sound = spoken(SENTENCE, "-v", voice)
    flags = judge(make_vad(VadSettings(kind=kind)), np.concatenate([silence(0.5), sound]))
    assert flags[50:].mean() > 0.7
    assert not flags[:40].any()


@pytest.mark.parametrize("kind", ["both", "silero"])
@pytest.mark.parametrize(
    "sound",
    [
        hum(6, 9000), hum(6, 600), hum(6, 3000, 50), noise(6, 3000), noise(6, 300),
        noise(6, 16000), np.sign(hum(6, 100)).astype(np.int16) * 3000, silence(6),
    ],
    ids=["hum", "faint hum", "mains", "white", "faint white", "loud white", "buzz", "silence"],
)  # fmt: skip
def test_noise_is_never_speech(kind: str, sound: np.ndarray):
    assert not judge(make_vad(VadSettings(kind=kind)), sound).any()


def test_speech_over_a_hum_is_heard_and_its_end_too():
    speech = spoken(SENTENCE)
    sound = np.concatenate([silence(2), speech, silence(2)])
    flags = judge(make_vad(VadSettings()), sound + hum(len(sound) / 16000, 500)[: len(sound)])
    assert not flags[:195].any()
    assert flags[200 : 200 + len(speech) // 160].mean() > 0.6
    assert not flags[-150:].any()


def test_the_gate_runs_silero_only_when_something_is_heard():
    class Counting(SileroVad):
        heard = 0

        def hear(self, samples):
            self.heard += len(samples)
            return super().hear(samples)

    silero = Counting(0.5)
    vad = GatedVad(WebrtcVad(2), silero)
    judge(vad, np.concatenate([silence(5), noise(5, 8)]))
    assert silero.heard == 0
    assert judge(vad, spoken(SENTENCE)).any()
    judge(vad, silence(2))
    before = silero.heard
    judge(vad, silence(5))
    assert silero.heard == before


def test_many_frames_at_once_are_judged_as_one_by_one():
    sound = spoken(SENTENCE)[: 512 * 40]
    together, apart = SileroVad(0.5), SileroVad(0.5)
    for start in range(0, len(sound), 512 * 8):
        block = sound[start : start + 512 * 8]
        flags = [apart.hear(part) for part in np.split(block, 8)]
        assert together.hear(block) == flags[-1]


def test_reset_forgets_the_speech():
    vad = make_vad(VadSettings())
    judge(vad, spoken(SENTENCE)[:16000])
    vad.reset()
    assert not judge(vad, silence(0.3)).any()
