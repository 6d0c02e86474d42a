"""Where Hermes says what; the site is in the payload."""

STARTED = "hermes/dialogueManager/sessionStarted"
QUEUED = "hermes/dialogueManager/sessionQueued"
ENDED = "hermes/dialogueManager/sessionEnded"
NOT_RECOGNIZED_IN_SESSION = "hermes/dialogueManager/intentNotRecognized"
START_LISTENING = "hermes/asr/startListening"
STOP_LISTENING = "hermes/asr/stopListening"
TEXT_CAPTURED = "hermes/asr/textCaptured"
PARSED = "hermes/nlu/intentParsed"
NLU_FAILED = "hermes/error/nlu"
NOT_RECOGNIZED = "hermes/nlu/intentNotRecognized"
SAY = "hermes/tts/say"
SAID = "hermes/tts/sayFinished"
FAILED = "hermes/error/dialogueManager"
HOTWORD_OFF = "hermes/hotword/toggleOff"
HOTWORD_ON = "hermes/hotword/toggleOn"

START_SESSION = "hermes/dialogueManager/startSession"
CONTINUE_SESSION = "hermes/dialogueManager/continueSession"
END_SESSION = "hermes/dialogueManager/endSession"
QUERY = "hermes/nlu/query"
WOKEN = "hermes/hotword/+/detected"


def detected(word: str) -> str:
    """Where it is told that a wake word was heard."""
    return f"hermes/hotword/{word}/detected"


def intent(name: str) -> str:
    """Where an intent is told; a plugin's name is no level of the topic."""
    return f"hermes/intent/{name}"
