"""The examples of `docs/mqtt.md`."""

RECIPES = """\
## Home Assistant

With `mqtt.discovery` (the default) and the same broker, a device *Assistant kitchen* appears by
itself under *Settings, Devices, MQTT*:

| entity | what it is |
| --- | --- |
| `sensor.assistant_kitchen_state` | `idle`, `listening`, `processing` or `responding` |
| `binary_sensor.assistant_kitchen_speaking` | on while somebody speaks to the assistant |
| `event.assistant_kitchen_conversation` | every event, its details as attributes |
| `switch.assistant_kitchen_mute` | the microphone |
| `button.assistant_kitchen_listen`, `button.assistant_kitchen_cancel` | listen now; give up |
| `notify.assistant_kitchen_say` | let it say something |
| `number.assistant_kitchen_sensitivity` | more hears more, and takes more for speech |
| `select.assistant_kitchen_patience` | how long a pause ends an utterance |
| `select.assistant_kitchen_model` | which of `engine.models` is used |
| `binary_sensor.assistant_kitchen_problem` | on while something needs a person, and what |
| `sensor.assistant_kitchen_latency`, `sensor.assistant_kitchen_memory` | diagnostics |

Home Assistant is told of it on every connection, and again whenever it starts. To be rid of it, set
`mqtt.discovery = false` and run `assistant mqtt clean`. MQTT has no platform for Assist satellites
or media players, so the assistant is neither.

Speak every answer through a loudspeaker, during which the microphone is muted, lest the assistant
answer itself; and announce that the washing is done:

```yaml
automation:
  - alias: Speak what the assistant answers
    mode: queued
    triggers:
      - trigger: mqtt
        topic: assistant/kitchen/reply
    actions:
      - variables:
          hears: "{{ is_state('switch.assistant_kitchen_mute', 'off') }}"
      - if: "{{ hears }}"
        then:
          - action: switch.turn_on
            target:
              entity_id: switch.assistant_kitchen_mute
      - action: tts.speak
        target:
          entity_id: tts.piper
        data:
          media_player_entity_id: media_player.kitchen
          message: "{{ trigger.payload_json.text }}"
      - wait_for_trigger:
          - trigger: state
            entity_id: media_player.kitchen
            from: playing
        timeout: "00:00:30"
      - if: "{{ hears }}"
        then:
          - action: switch.turn_off
            target:
              entity_id: switch.assistant_kitchen_mute
          - wait_template: "{{ is_state('switch.assistant_kitchen_mute', 'off') }}"
            timeout: "00:00:05"
  - alias: Tell that the washing is done
    triggers:
      - trigger: state
        entity_id: binary_sensor.washing_machine
        to: "off"
    actions:
      - action: notify.send_message
        target:
          entity_id: notify.assistant_kitchen_say
        data:
          message: The washing is done.
```

## Node-RED

Two nodes are enough: `event` in, `say` out. Import this (menu, *Import*), and set the broker:

```json
[
  {"id": "heard", "type": "mqtt in", "topic": "assistant/kitchen/event", "qos": "1",
   "datatype": "json", "broker": "hub", "wires": [["failed"]]},
  {"id": "failed", "type": "switch", "property": "payload.event_type", "propertyType": "msg",
   "rules": [{"t": "eq", "v": "error", "vt": "str"}], "outputs": 1, "wires": [["words"]]},
  {"id": "words", "type": "change", "rules": [{"t": "set", "p": "payload", "pt": "msg",
   "to": "Something went wrong.", "tot": "str"}], "wires": [["say"]]},
  {"id": "say", "type": "mqtt out", "topic": "assistant/kitchen/say", "qos": "1",
   "retain": "false", "broker": "hub", "wires": []},
  {"id": "hub", "type": "mqtt-broker", "name": "hub", "broker": "localhost", "port": "1883"}
]
```

## Hermes

With `mqtt.hermes = true` the assistant also speaks Hermes, so that flows written for Rhasspy go on
working. It is the dialogue manager, the recogniser and the voice of its site:

| said below `hermes/` | when |
| --- | --- |
| `hotword/default/detected` | the wake word was heard |
| `dialogueManager/sessionStarted`, `asr/startListening` | somebody speaks |
| `asr/stopListening` | somebody has finished |
| `asr/textCaptured` | the words are understood |
| `intent/<name>` | a plugin answers; the name is `plugin.handler`, as in `lights.switch` |
| `nlu/intentNotRecognized` | no plugin does, or no words were heard |
| `tts/say`, `tts/sayFinished` | the answer, and that `reply` has it |
| `error/dialogueManager` | the turn failed |
| `dialogueManager/sessionEnded` | 3 s after the answer, or when somebody says so; and why |
| `hotword/toggleOff`, `hotword/toggleOn` | a session begins (`dialogueSession`), or is over |

| obeyed below `hermes/` | what happens |
| --- | --- |
| `dialogueManager/startSession` | `action` says its text and listens, `notification` says it |
| `dialogueManager/continueSession` | it says its text and listens again |
| `dialogueManager/endSession` | it says its text, if any, and the session ends |
| `tts/say` | it says the text; `tts/sayFinished` follows |
| `nlu/query` | `nlu/intentParsed` and `intent/<name>` follow, or `nlu/intentNotRecognized` |
| `hotword/<any>/detected` | it listens, as after its own wake word |
| `hotword/toggleOff`, `hotword/toggleOn` | only commands and answers are heard, or all |
| `asr/toggleOff`, `asr/toggleOn` | nothing is heard at all, or everything |
| `dialogueManager/configure` | `intents` answer, or do not, in sessions without an `intentFilter` |

A message without `siteId` is for every site, one with another `siteId` for none here. `customData`
comes back in everything said of a session.

In a session with an `intentFilter` no plugin but those of its intents is asked, also where the
site is a satellite and an engine answers; an empty list is no intent at all. A query tells what its
words mean and leaves the deed to whoever asked: no plugin acts on it. Its own `intentFilter` picks
the best of the intents that it names. A satellite has no plugins, and answers queries with
`error/nlu`. Of each topic 20 messages a second are taken. Sound (`audioServer`) does not go over
the broker, and the plugins' sentences are the only ones that are recognised.

What is switched off for several reasons is on again when the last of them is gone, or when it is
switched on without one. `ttsSay` and `playAudio` are gone after a minute at the latest. A
`configure` without `intents` enables them all, and a restart switches everything on.

## A shell

```sh
mosquitto_sub -v -t 'assistant/kitchen/#'
mosquitto_pub -q 1 -t assistant/kitchen/say -m 'Dinner is ready.'
mosquitto_pub -q 1 -t assistant/kitchen/mute/set -m ON
mosquitto_rr -t assistant/kitchen/request/ask -e assistant/kitchen/response/ask -m 'what time is it'
```
"""
