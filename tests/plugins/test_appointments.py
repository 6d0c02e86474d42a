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
