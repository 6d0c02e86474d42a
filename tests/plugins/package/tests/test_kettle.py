import json


async def test_water_is_boiled(assistant):
    turn = await assistant.hear("please boil three cups of water")
    assert turn.intent == "kettle.boil"
    assert turn.slots == {"cups": 3}
    [(topic, payload)] = turn.published
    assert (topic, json.loads(payload)) == ("home/kettle/set", {"cups": 3})
    assert turn.scheduled == ("kettle/kettle",)
    await assistant.advance(180)
    assert assistant.said == ["The water for three cups boils."]
