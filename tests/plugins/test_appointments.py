import time as clock
from datetime import datetime, time, timedelta

import pytest

from assistant.plugin import next_moment

MONDAY_NOON = datetime(2026, 1, 5, 12).astimezone()


@pytest.mark.parametrize(
    ("heard", "at", "day", "expected"),
    [
        ("at five", time(5), "", (5, 17)),
        ("at five in the morning", time(5), "", (6, 5)),
        ("at eleven", time(11), "", (5, 23)),
        ("at noon", time(12), "", (6, 12)),
        ("tomorrow at seven", time(7), "tomorrow", (6, 7)),
        ("tomorrow evening at seven", time(7), "tomorrow", (6, 19)),
        ("at four on monday", time(4), "monday", (5, 16)),
        ("at ten on monday morning", time(10), "monday", (12, 10)),
        ("at midnight tonight", time(0), "today", (6, 0)),
        ("at nineteen thirty", time(19, 30), "", (5, 19)),
    ],
)
def test_a_time_means_its_next_moment_in_the_half_of_the_day_that_was_said(
    heard, at, day, expected
):
    moment = next_moment(MONDAY_NOON, at, heard=heard, day=day)
    assert (moment.day, moment.hour) == expected


def test_nobody_means_the_night_without_saying_so():
    evening = MONDAY_NOON + timedelta(hours=8)
    assert next_moment(evening, time(5), heard="at five").hour == 5
    assert next_moment(evening, time(5), heard="at five", from_hour=7).hour == 17


async def test_an_alarm_rings_after_a_restart_at_its_site(assistant):
    turn = await assistant.hear("wake me at six thirty", site="attic")
    assert turn.reply == "Alarm for Tuesday at half past six in the morning."
    await assistant.restart()
    assert (await assistant.hear("what alarms are set")).reply == turn.reply
    await assistant.advance(21.5 * 3600)
    said = "It's half past six in the morning: your alarm!"
    assert assistant.world.said == [("attic", said)]
    [(kind, fields)] = assistant.events
    assert (kind, fields["plugin"]) == ("alarm_rang", "alarms")
    assert (await assistant.hear("what alarms are set")).reply == "No alarm is set."


async def test_one_alarm_or_all_are_cancelled(assistant):
    for sentence in ("alarm at ten", "set an alarm for eleven", "set an alarm in twenty minutes"):
        await assistant.hear(sentence)
    turn = await assistant.hear("cancel the ten o'clock alarm")
    assert turn.reply == "Alarm for Monday at ten o'clock in the morning cancelled."
    assert (await assistant.hear("cancel all alarms")).reply == "All alarms cancelled."
    assert (await assistant.hear("cancel my alarm")).reply == "There is no such alarm."
    await assistant.advance(86_400)
    assert assistant.said == []


async def test_a_reminder_says_what_it_was_asked_to(assistant):
    turn = await assistant.hear("remind me to call my mum at five")
    assert turn.reply == "Reminder to call your mum, Monday at five o'clock in the afternoon."
    turn = await assistant.hear("remind me in ten minutes to check the oven")
    assert turn.slots == {"task": "check the oven", "length": 600}
    await assistant.advance(600)
    assert assistant.said == ["Reminder: check the oven."]
    await assistant.restart()
    await assistant.advance(8 * 3600)
    assert assistant.said[1:] == ["Reminder: call your mum."]


async def test_a_reminder_without_a_time_is_asked_for_one(assistant):
    turn = await assistant.hear("remind me to call mum")
    assert turn.reply == "When? Say for instance: remind me to call mum at five."
    assert turn.scheduled == ()


async def test_reminders_are_cancelled_by_their_task(assistant):
    await assistant.hear("remind me tomorrow to water the plants")
    await assistant.hear("remind me at ten to buy milk")
    turn = await assistant.hear("cancel the reminder to buy milk")
    assert turn.reply.startswith("Reminder to buy milk, Monday")
    turn = await assistant.hear("what reminders do i have")
    assert turn.reply == "Reminder to water the plants, Tuesday at nine o'clock in the morning."


@pytest.mark.parametrize(
    ("heard", "at", "day", "expected"),
    [
        ("tomorrow night at nine", time(9), "tomorrow", (6, 21)),
        ("friday night at ten", time(10), "friday", (9, 22)),
        ("friday night at one", time(1), "friday", (10, 1)),
        ("tomorrow at three at night", time(3), "tomorrow", (6, 3)),
        ("tonight at twelve", time(12), "today", (6, 0)),
        ("tonight at one", time(1), "today", (6, 1)),
        ("this afternoon", None, "today", (5, 15)),
        ("tomorrow afternoon", None, "tomorrow", (6, 15)),
        ("this morning", None, "today", (5, 13)),
        ("tomorrow", None, "tomorrow", (6, 9)),
        ("monday", None, "monday", (5, 21)),
    ],
)
def test_the_night_goes_on_after_midnight_and_every_part_of_the_day_has_a_usual_time(
    heard, at, day, expected
):
    moment = next_moment(MONDAY_NOON, at, heard=heard, day=day)
    assert (moment.day, moment.hour) == expected


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("set an alarm for nine tomorrow night", "Tuesday at nine o'clock in the evening"),
        ("set an alarm for friday night at ten", "Friday at ten o'clock at night"),
        ("set an alarm for twelve tonight", "Tuesday at midnight"),
        ("set an alarm for one tonight", "Tuesday at one o'clock in the morning"),
        ("wake me up at nine tonight", "Monday at nine o'clock in the evening"),
    ],
)
async def test_an_alarm_is_set_for_the_night_that_was_said(assistant, said, when):
    assert (await assistant.hear(said)).reply == f"Alarm for {when}."


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("remind me this afternoon to buy milk", "Monday at three o'clock in the afternoon"),
        ("remind me to buy milk tomorrow afternoon", "Tuesday at three o'clock in the afternoon"),
        ("remind me to buy an evening dress at ten", "Monday at ten o'clock in the morning"),
        (
            "remind me to say good night to the kids at seven",
            "Monday at seven o'clock in the evening",
        ),
        ("remind me to call mum tomorrow at six in the evening", "Tuesday at six o'clock in the e"),
    ],
)
async def test_a_reminder_comes_when_the_words_around_the_task_say(assistant, said, when):
    assert f", {when}" in (await assistant.hear(said)).reply


async def test_what_is_left_of_tonight_is_still_tonight(assistant):
    await assistant.advance(12.5 * 3600)
    turn = await assistant.hear("remind me tonight to take out the trash")
    assert turn.reply == "Reminder to take out the trash, Monday at ten o'clock at night."


async def _set_alarms(assistant, *times):
    for each in times:
        await assistant.hear(f"set an alarm for {each}")


async def test_the_next_and_the_last_alarm_are_cancelled_alone(assistant):
    await _set_alarms(assistant, "eleven am", "ten am", "nine pm", "three pm")
    turn = await assistant.hear("cancel my next alarm")
    assert turn.reply == "Alarm for Monday at ten o'clock in the morning cancelled."
    turn = await assistant.hear("cancel the last alarm")
    assert turn.reply == "Alarm for Monday at nine o'clock in the evening cancelled."
    assert len((await assistant.hear("what alarms are set")).reply.split(". ")) == 2


async def test_an_alarm_is_cancelled_in_the_half_of_the_day_that_was_said(assistant):
    await _set_alarms(assistant, "seven am", "seven pm", "nine pm")
    turn = await assistant.hear("cancel the seven am alarm")
    assert turn.reply == "Alarm for Tuesday at seven o'clock in the morning cancelled."
    await _set_alarms(assistant, "seven am")
    assert (await assistant.hear("cancel the seven o'clock alarm")).reply == "Two alarms cancelled."
    assert (await assistant.hear("cancel all alarms")).reply.startswith("Alarm for Monday at nine")


async def test_an_alarm_that_is_set_again_is_the_one_that_is_named(assistant):
    await _set_alarms(assistant, "seven tomorrow", "eight tomorrow")
    turn = await assistant.hear("set an alarm for seven tomorrow")
    assert turn.reply == "Alarm for Tuesday at seven o'clock in the morning."


async def test_a_reminder_is_cancelled_by_whole_words(assistant):
    for task in ("call mum", "buy meat", "heat the soup", "eat", "take my medicine"):
        await assistant.hear(f"remind me to {task} at ten")
    turn = await assistant.hear("cancel the reminder to eat")
    assert turn.reply == "Reminder to eat, Monday at ten o'clock in the morning, cancelled."
    turn = await assistant.hear("cancel the reminder to take my medicine")
    assert turn.reply.startswith("Reminder to take your medicine, Monday")
    await assistant.hear("remind me to call mum tomorrow")
    turn = await assistant.hear("cancel the reminder to call mum")
    assert turn.reply == "Two reminders cancelled."
    assert (await assistant.hear("delete all reminders")).reply == "All reminders cancelled."


async def test_the_next_reminder_is_cancelled_alone(assistant):
    await assistant.hear("remind me to buy milk at eleven")
    await assistant.hear("remind me to call mum at ten")
    turn = await assistant.hear("cancel my next reminder")
    assert turn.reply.startswith("Reminder to call mum")
    assert (await assistant.hear("read my reminders")).reply.startswith("Reminder to buy milk")


async def test_what_is_no_deed_is_reminded_of_by_its_name(assistant):
    turn = await assistant.hear("remind me about the meeting at ten")
    assert turn.reply == "Reminder: the meeting, Monday at ten o'clock in the morning."
    turn = await assistant.hear("remind me that i have to call my mum at ten")
    assert turn.reply.startswith("Reminder: you have to call your mum, Monday")


@pytest.fixture
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


@pytest.mark.usefixtures("in_berlin")
async def test_an_alarm_is_read_back_in_the_time_that_the_clocks_show_then(assistant):
    assistant.world.started = datetime(2026, 3, 28, 22).astimezone()
    turn = await assistant.hear("set an alarm in ten hours")
    assert turn.reply == "Alarm for Sunday at nine o'clock in the morning."
