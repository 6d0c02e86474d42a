async def test_the_shopping_list_survives_a_restart(assistant):
    assert (await assistant.hear("what's on my list")).reply == "The shopping list is empty."
    turn = await assistant.hear("put eggs and bread on the grocery list")
    assert turn.reply == "I put eggs and bread on the shopping list."
    assert (await assistant.hear("add milk to my list")).slots == {"item": "milk"}
    await assistant.restart()
    turn = await assistant.hear("what do we need to buy")
    assert turn.reply == "On the shopping list: eggs, bread and milk."


async def test_what_is_on_a_list_is_not_put_there_again(assistant):
    await assistant.hear("add milk to the shopping list")
    turn = await assistant.hear("add milk to the shopping list")
    assert turn.reply == "Milk is on the shopping list already."


async def test_items_are_taken_off_even_in_the_singular(assistant):
    await assistant.hear("add eggs and milk to the shopping list")
    turn = await assistant.hear("remove egg from the shopping list")
    assert turn.reply == "I took eggs off the shopping list."
    assert (await assistant.hear("are eggs on the list")).reply.startswith("No, eggs")
    assert (await assistant.hear("clear my list")).reply == "The shopping list is empty now."


async def test_small_words_around_an_item_are_no_part_of_it(assistant):
    await assistant.hear("add some milk and the eggs to the shopping list")
    turn = await assistant.hear("is there any milk on the list")
    assert turn.reply == "Yes, milk is on it."
    assert (await assistant.hear("are there eggs on the list")).reply == "Yes, eggs are on it."
    turn = await assistant.hear("remove the milk from the shopping list")
    assert turn.reply == "I took milk off the shopping list."
    turn = await assistant.hear("is there milk on the list")
    assert turn.reply == "No, milk is not on the shopping list."


async def test_several_items_are_taken_off_at_once(assistant):
    await assistant.hear("add milk and eggs and bread to the shopping list")
    turn = await assistant.hear("remove milk and eggs from the shopping list")
    assert turn.reply == "I took milk and eggs off the shopping list."
    turn = await assistant.hear("remove bread and eggs from the shopping list")
    reply = "I took bread off the shopping list. Eggs are not on the shopping list."
    assert turn.reply == reply


async def test_an_item_is_not_taken_for_one_that_sounds_alike(assistant):
    await assistant.hear("add ice and pears and berries to the shopping list")
    turn = await assistant.hear("is rice on the list")
    assert turn.reply == "No, rice is not on the shopping list."
    turn = await assistant.hear("remove peas from the shopping list")
    assert turn.reply == "Peas are not on the shopping list."
    turn = await assistant.hear("remove berry from the shopping list")
    assert turn.reply == "I took berries off the shopping list."


async def test_several_things_are_on_the_list_already(assistant):
    await assistant.hear("add eggs to the shopping list")
    turn = await assistant.hear("add eggs to the shopping list")
    assert turn.reply == "Eggs are on the shopping list already."


async def test_a_task_with_an_and_is_one_entry_of_the_other_list(assistant):
    await assistant.hear("add call mum and dad to my to-do list")
    turn = await assistant.hear("read my to do list")
    assert turn.reply == "On the to-do list: call mum and dad."
    assert (await assistant.hear("what's on my shopping list")).reply.endswith("empty.")


async def test_the_last_reply_is_said_again_also_twice(assistant):
    assert (await assistant.hear("repeat that")).reply == "I haven't said anything yet."
    told = await assistant.hear("what day is it")
    for _ in range(2):
        assert (await assistant.hear("what did you say")).reply == told.reply


async def test_the_loaded_plugins_are_told_by_what_they_are_for(assistant):
    turn = await assistant.hear("what can you do")
    assert turn.reply.startswith("I can wake you, calculate, ")
    assert ", set timers and convert units." in turn.reply


async def test_only_the_very_words_stop(assistant):
    assert (await assistant.hear("never mind")).reply == "Okay."
    assert (await assistant.hear("top")).intent is None
