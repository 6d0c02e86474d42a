import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from assistant.audio import microphone as microphone_module
from assistant.audio.microphone import Lost, Microphone, MicrophoneStatus, Opened, Retrying
from assistant.audio.portaudio import Device, choose
from assistant.errors import TransientError, UserError
from assistant.settings import AudioSettings
from tests.audio.support import FakeClock, hum, noise, settle

MONO = Device(0, "USB microphone", 16000, 1, is_default=False)
STEREO = Device(3, "Built-in Audio", 48000, 2, is_default=True)


class FakeRecorder:
    def __init__(self, device: Device) -> None:
        self.device = device
        self.closed = False

    def close(self) -> None:
        self.closed = True


class FakeDriver:
    """Devices come and go as a test says; `say` is the callback of the newest."""

    def __init__(self, *devices: Device) -> None:
        self.devices = list(devices)
        self.opened: list[FakeRecorder] = []
        self.attempts = 0
        self.callbacks: list[Callable[[bytes], None]] = []

    def open(self, wanted: str | int | None, on_chunk: Callable[[bytes], None]) -> FakeRecorder:
        self.attempts += 1
        recorder = FakeRecorder(choose(self.devices, wanted))
        self.opened.append(recorder)
        self.callbacks.append(on_chunk)
        return recorder

    def say(self, sound: np.ndarray) -> None:
        """As PortAudio does: on a thread of its own, 30 ms at a time."""
        size = round(self.opened[-1].device.rate_hz * 0.03) * self.opened[-1].device.channels

        def run() -> None:
            for start in range(0, sound.size, size):
                self.callbacks[-1](sound.reshape(-1)[start : start + size].tobytes())

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()


class Rig:
    def __init__(self, driver: FakeDriver, **settings: object) -> None:
        self.clock = FakeClock()
        self.told: list[MicrophoneStatus] = []
        self.driver = driver
        self.microphone = Microphone(
            AudioSettings(**settings), self.clock, on_status=self.told.append, driver=driver
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Threads answer in their own time, so wait for what they do."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - the threads know no event of this loop
                await asyncio.sleep(0)

    async def opened(self, times: int = 1) -> None:
        await self.until(lambda: sum(isinstance(item, Opened) for item in self.told) >= times)

    async def retrying(self) -> None:
        await self.until(lambda: isinstance(self.told[-1], Retrying))

    async def hear(self, count: int) -> np.ndarray:
        heard: list[np.ndarray] = []
        async for frame in self.microphone.frames():
            heard.append(frame.samples)
            if len(heard) == count:
                break
        return np.concatenate(heard)


@pytest.fixture
def rig() -> Rig:
    return Rig(FakeDriver(MONO, STEREO), device="usb")


async def test_sound_at_our_rate_passes_bit_by_bit(rig: Rig):
    sound = noise(0.9, 2000)
    async with rig.microphone:
        await rig.opened()
        rig.driver.say(sound)
        assert np.array_equal(await rig.hear(90), sound)
        assert rig.microphone.describe() == "microphone: USB microphone (16000 Hz, 1 channel)"
    assert rig.driver.opened[0].closed


async def test_any_rate_is_resampled_and_channels_are_mixed():
    rig = Rig(FakeDriver(STEREO))
    times = np.arange(48000) / 48000
    left = (8000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)
    async with rig.microphone:
        await rig.opened()
        rig.driver.say(np.stack([left, left // 2], axis=1))
        heard = await rig.hear(90)
    assert np.abs(heard[1600:12000]).max() == pytest.approx(6000, rel=0.02)
    expected = hum(1, 6000, 440)[1600:12000]
    assert np.corrcoef(heard[1600:12000], expected)[0, 1] > 0.9


async def test_the_oldest_sound_is_dropped_and_counted_when_nobody_reads():
    rig = Rig(FakeDriver(MONO), buffer_ms=300)
    sound = noise(0.9, 2000)
    async with rig.microphone:
        await rig.opened()
        rig.driver.say(sound)
        assert np.array_equal(await rig.hear(30), sound[-4800:])
    assert rig.microphone.dropped_frames == 60


async def test_a_stall_is_noticed_in_time_and_the_device_is_opened_again(rig: Rig):
    async with rig.microphone:
        await rig.opened()
        await rig.clock.advance(0.9)
        rig.driver.say(noise(0.03, 100))
        await rig.clock.advance(0.9)
        assert len(rig.told) == 1
        await rig.clock.advance(0.11)
        await rig.retrying()
        assert isinstance(rig.told[1], Lost)
        assert "gave no sound for 1 s" in rig.microphone.describe()
        assert rig.driver.opened[0].closed
        await settle()
        await rig.clock.advance(0.51)
        await rig.opened(2)
        sound = noise(0.03, 900)
        rig.driver.say(sound)
        heard = await rig.hear(6)
        assert np.array_equal(heard[-480:], sound)


async def test_it_waits_for_a_device_that_is_plugged_in_later():
    rig = Rig(FakeDriver(), device="usb")
    async with rig.microphone:
        for _ in range(8):
            before = len(rig.told)
            await rig.until(lambda before=before: len(rig.told) >= before + 2 or before > 0)
            await rig.clock.advance(11)
            await rig.until(lambda before=before: len(rig.told) > before)
        rig.driver.devices = [STEREO]
        await rig.retrying()
        await settle()
        await rig.clock.advance(11)
        await rig.until(lambda: "no microphone matches 'usb'" in rig.microphone.describe())
        rig.driver.devices.append(MONO)
        await rig.retrying()
        await settle()
        await rig.clock.advance(11)
        await rig.opened()
    waits = [item.in_s for item in rig.told if isinstance(item, Retrying)]
    assert 0.25 <= waits[0] <= 0.5
    assert all(5 <= wait <= 10 for wait in waits[5:])


async def test_a_device_may_take_longer_to_give_its_first_sound_than_to_stall(rig: Rig):
    async with rig.microphone:
        await rig.opened()
        await rig.clock.advance(2.9)
        assert len(rig.told) == 1
        rig.driver.say(noise(0.03, 900))
        await rig.clock.advance(0.9)
        assert len(rig.told) == 1
        await rig.clock.advance(0.11)
        await rig.retrying()
        assert "gave no sound for 1 s" in rig.microphone.describe()


async def test_a_device_that_never_gives_a_sound_is_opened_again(rig: Rig):
    async with rig.microphone:
        await rig.opened()
        await rig.clock.advance(3.01)
        await rig.retrying()
        assert "gave no sound for 3 s" in rig.microphone.describe()


async def test_late_sound_of_a_lost_device_is_not_heard(rig: Rig):
    async with rig.microphone:
        await rig.opened()
        late = rig.driver.callbacks[0]
        await rig.clock.advance(3.01)
        await rig.retrying()
        await settle()
        await rig.clock.advance(0.51)
        await rig.opened(2)
        late(noise(0.03, 9000).tobytes())
        sound = noise(0.03, 100)
        rig.driver.say(sound)
        assert np.array_equal(await rig.hear(3), sound)


@pytest.fixture
def released() -> Iterator[threading.Event]:
    release = threading.Event()
    yield release
    release.set()


async def test_an_audio_system_that_never_returns_blocks_nothing(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    class Stuck(FakeDriver):
        def open(self, wanted, on_chunk):
            released.wait(10)
            return super().open(wanted, on_chunk)

    monkeypatch.setattr(microphone_module, "OPEN_TIMEOUT_S", 0.05)
    rig = Rig(Stuck(MONO))
    async with rig.microphone:
        await rig.until(lambda: isinstance(rig.told[-1], Retrying) if rig.told else False)
        assert "does not open" in rig.microphone.describe()
        released.set()
        await rig.until(lambda: bool(rig.driver.opened) and rig.driver.opened[0].closed)


async def test_a_programming_error_in_the_driver_is_raised_not_hidden():
    class Wrong(FakeDriver):
        def open(self, wanted, on_chunk):
            raise ZeroDivisionError

    async with Rig(Wrong()).microphone as microphone:
        with pytest.raises(ZeroDivisionError):
            await anext(microphone.frames())


async def test_without_pyaudio_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pyaudio", None)
    with pytest.raises(UserError, match=r"script/setup mic.*portaudio19-dev.*\[mic\]"):
        Microphone(AudioSettings(), FakeClock())


@pytest.mark.parametrize(
    ("wanted", "index"), [(None, 3), (0, 0), ("BUILT-IN", 3), ("micro", 0), ("u", 0)]
)
def test_a_device_is_chosen_by_index_or_by_a_part_of_its_name(wanted: str | int | None, index: int):
    assert choose([MONO, STEREO], wanted).index == index


@pytest.mark.parametrize("wanted", [7, "webcam"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(wanted: str | int):
    with pytest.raises(TransientError, match=f"{wanted}.*USB microphone.*Built-in Audio"):
        choose([MONO, STEREO], wanted)


async def test_a_device_opened_just_as_it_is_given_up_is_closed(rig: Rig):
    async with rig.microphone:
        await rig.until(lambda: rig.driver.attempts == 1)
        for thread in threading.enumerate():
            if thread.name == "microphone.open":
                thread.join(5)
        assert rig.microphone.status == Lost("not opened yet")
    await rig.until(lambda: rig.driver.opened[0].closed)
