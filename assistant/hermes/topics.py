"""Where Hermes says what; the site is in the payload."""

STARTED = "hermes/dialogueManager/sessionStarted"
QUEUED = "hermes/dialogueManager/sessionQueued"
ENDED = "hermes/dialogueManager/sessionEnded"
NOT_RECOGNIZED_IN_SESSION = "hermes/dialogueManager/intentNotRecognized"
START_LISTENING = "hermes/asr/startListening"
STOP_LISTENING = "hermes/asr/stopListening"
TEXT_CAPTURED = "hermes/asr/textCaptured"
NOT_RECOGNIZED = "hermes/nlu/intentNotRecognized"
SAY = "hermes/tts/say"
SAID = "hermes/tts/sayFinished"
FAILED = "hermes/error/dialogueManager"

START_SESSION = "hermes/dialogueManager/startSession"
CONTINUE_SESSION = "hermes/dialogueManager/continueSession"
END_SESSION = "hermes/dialogueManager/endSession"


def intent(name: str) -> str:
    """Where an intent is told; a plugin's name is no level of the topic."""
    return f"hermes/intent/{name}"
