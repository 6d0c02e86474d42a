import asyncio
import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.audio.files import load_audio
from assistant.audio.source import FileSource, Frame, Framer, StdinSource
from assistant.errors import UserError
from tests.audio.support import FakeClock, hum, loud, noise, settle, silence


def write(path: Path, sound: np.ndarray, rate_hz: int = 16000, **more: str) -> Path:
    soundfile.write(path, sound, rate_hz, **more)
    return path


def test_sixteen_bit_mono_passes_unchanged(tmp_path: Path):
    sound = noise(20, 3000)
    recording = load_audio(write(tmp_path / "a.wav", sound))
    assert np.array_equal(recording.samples, sound)
    assert recording.seconds_total == 20
    assert not recording.cut


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize(("rate_hz", "channels"), [(48000, 2), (8000, 1), (44100, 1)])
def test_any_format_rate_and_channels_are_read(
    tmp_path: Path, suffix: str, rate_hz: int, channels: int
):
    times = np.arange(rate_hz) / rate_hz
    sound = np.tile(0.5 * np.sin(2 * np.pi * 440 * times)[:, None], (1, channels))
    samples = load_audio(write(tmp_path / f"a.{suffix}", sound, rate_hz)).samples
    assert len(samples) == pytest.approx(16000, rel=0.1)
    spectrum = np.abs(np.fft.rfft(samples[2000:14000] / 32768))
    assert np.argmax(spectrum) * 16000 / 12000 == pytest.approx(440, abs=2)
    assert samples.max() / 32768 == pytest.approx(0.5, abs=0.05)


def test_floats_beyond_full_scale_and_no_numbers_are_tamed(tmp_path: Path):
    sound = np.array([0.0, 5.0, -5.0, np.nan, np.inf], np.float32)
    samples = load_audio(write(tmp_path / "a.wav", sound, subtype="FLOAT")).samples
    assert samples.tolist() == [0, 32767, -32768, 0, 32767]


def test_a_long_recording_is_cut_and_says_so(tmp_path: Path):
    path = write(tmp_path / "long.flac", silence(1800))
    recording = load_audio(path, max_seconds=30)
    assert len(recording.samples) == 30 * 16000
    assert recording.cut
    assert recording.seconds_total == pytest.approx(1800)


def test_a_recording_of_exactly_the_limit_is_whole(tmp_path: Path):
    recording = load_audio(write(tmp_path / "a.wav", loud(3)), max_seconds=3)
    assert (len(recording.samples), recording.cut) == (48000, False)


def test_standard_input_holds_a_recording():
    data = io.BytesIO()
    soundfile.write(data, loud(1), 16000, format="FLAC")
    data.seek(0)
    assert np.array_equal(load_audio("-", stdin=data).samples, loud(1))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.wav", None, "no such file"),
        ("text.wav", b"hello there", "cannot be read"),
        ("nothing.wav", b"", "cannot be read"),
        ("raw.raw", b"\0" * 100, "cannot be read"),
    ],
)
def test_what_is_no_recording_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes | None, says: str
):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        load_audio(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_an_empty_recording_and_empty_input_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="cannot be read"):
        load_audio(tmp_path)
    with pytest.raises(UserError, match="holds no sound"):
        load_audio(write(tmp_path / "empty.wav", silence(0)))
    with pytest.raises(UserError, match="standard input"):
        load_audio("-", stdin=io.BytesIO())


def test_frames_keep_every_sample_and_time_never_goes_back():
    framer, sound = Framer(), noise(1, 1000)
    frames: list[Frame] = []
    for start in range(0, 16000, 441):
        chunk = sound[start : start + 441]
        frames += framer.push(chunk, 5 + (start + len(chunk)) / 16000)
    assert np.array_equal(np.concatenate([frame.samples for frame in frames]), sound)
    assert [frame.at for frame in frames] == pytest.approx(
        [5 + (index + 1) * 0.01 for index in range(100)], abs=1e-9
    )


async def test_recordings_are_paced_by_deadlines(tmp_path: Path):
    class Late(FakeClock):
        """Every sleep oversleeps."""

        async def sleep(self, seconds: float) -> None:
            self._now += seconds + 0.004

    clock = Late()
    path = write(tmp_path / "a.wav", loud(2))
    source = FileSource([path, path], clock, gap_s=0.5)
    async with source:
        frames = [frame async for frame in source.frames()]
    assert len(frames) == 500
    assert clock.now() == pytest.approx(105, abs=0.01)
    assert frames[-1].at == pytest.approx(105)
    assert frames[-1].samples.max() == 0
    assert "a.wav" in source.describe()


async def test_without_pacing_nothing_waits(tmp_path: Path):
    source = FileSource([write(tmp_path / "a.wav", hum(1, 900))], FakeClock(), realtime=False)
    async with source:
        assert len([frame async for frame in source.frames()]) == 250


@pytest.mark.parametrize("paths", [[], [Path("gone.wav")]])
async def test_a_missing_recording_is_the_users_mistake(paths: list[Path]):
    with pytest.raises(UserError, match=r"audio\.files"):
        async with FileSource(paths, FakeClock()):
            pass


async def test_raw_standard_input_becomes_frames(tmp_path: Path):
    sound = noise(3, 2000)
    path = tmp_path / "sound.raw"
    path.write_bytes(sound.tobytes() + b"\1")
    with path.open("rb") as stream:
        source = StdinSource(FakeClock(), stream=stream, buffer_ms=100)
        async with source:
            frames = [frame async for frame in source.frames()]
    assert np.array_equal(np.concatenate([frame.samples for frame in frames]), sound)


async def test_standard_input_that_would_not_block_is_waited_for():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", 0) as stream, os.fdopen(writing, "wb", 0) as pipe:
        source = StdinSource(FakeClock(), stream=stream, buffer_ms=100)
        async with source:
            frames = source.frames()
            first = asyncio.ensure_future(anext(frames))
            await asyncio.sleep(0.05)
            assert not first.done()
            pipe.write(silence(0.02).tobytes())
            await asyncio.wait_for(first, 5)
            pipe.close()
            assert len([frame async for frame in frames]) == 1


async def test_standard_input_waits_for_a_slow_reader(tmp_path: Path):
    path = tmp_path / "sound.raw"
    path.write_bytes(silence(5).tobytes())
    with path.open("rb") as stream:
        source = StdinSource(FakeClock(), stream=stream, buffer_ms=300)
        async with source:
            frames = source.frames()
            await anext(frames)
            await settle()
            assert stream.raw.tell() <= 12 * 960  # ten chunks of room, and the one just read
            assert len([frame async for frame in frames]) == 499
