"""The payloads of Hermes, in its own spelling."""

from collections.abc import Mapping
from typing import Any

from assistant.hermes.session import Session, Termination
from assistant.mqtt.payloads import ReplyPayload

Payload = dict[str, Any]


def place(session: Session, site: str) -> Payload:
    """Name the session and the site, as nearly every payload does."""
    return {"sessionId": session.id, "siteId": site}


def started(session: Session, site: str) -> Payload:
    """Tell that a session has begun, or waits to."""
    return {**place(session, site), "customData": session.custom_data, "lang": None}


def ended(session: Session, site: str, why: Termination) -> Payload:
    """Tell that a session is over, and why."""
    told = {"termination": {"reason": why.value}, "customData": session.custom_data}
    return {**told, **place(session, site)}


def captured(session: Session, reply: ReplyPayload) -> Payload:
    """Tell what was heard."""
    return {
        "text": reply.transcript,
        "likelihood": reply.confidence,
        "seconds": session.seconds,
        **place(session, reply.site),
        "wakewordId": None,
        "asrTokens": [_tokens(reply.transcript, reply.confidence)],
        "lang": None,
    }


def recognized(session: Session, reply: ReplyPayload) -> Payload:
    """Tell an intent and its slots."""
    said, sure = reply.transcript, reply.confidence
    return {
        **parsed(said, reply.intent or "", sure, reply.slots),
        **heard(said, sure),
        "id": reply.turn,
        **place(session, reply.site),
        "customData": session.custom_data,
        "wakewordId": None,
    }


def parsed(said: str, intent: str, confidence: float, slots: Mapping[str, Any]) -> Payload:
    """Tell what some words mean."""
    return {
        "input": said,
        "intent": {"intentName": intent, "confidenceScore": confidence},
        "slots": _slots(slots, said),
    }


def heard(said: str, sure: float) -> Payload:
    """Tell how the words of an intent were heard."""
    told = {"asrTokens": [_tokens(said, sure)], "asrConfidence": sure, "rawInput": said}
    return {**told, "lang": None}


def woken(site: str, turn: str) -> Payload:
    """Tell that the wake word was heard."""
    model = {"modelId": "default", "modelVersion": "", "modelType": "universal"}
    about = {"sendAudioCaptured": None, "lang": None, "customData": None}
    return {**model, "currentSensitivity": 1.0, "siteId": site, "sessionId": turn, **about}


def toggled(site: str) -> Payload:
    """Tell others' wake words that a session has begun, or is over."""
    return {"siteId": site, "reason": "dialogueSession"}


def not_recognized(session: Session, site: str, said: str) -> Payload:
    """Tell that no intent fits what was heard."""
    told = {"input": said, "id": session.turn, "customData": session.custom_data}
    return {**told, **place(session, site)}


def say(text: str, site: str, said: str, session: str | None) -> Payload:
    """Tell what is said."""
    told = {"text": text, "lang": None, "id": said, "volume": None}
    return {**told, "siteId": site, "sessionId": session}


def said(site: str, id: str | None, session: str | None) -> Payload:  # noqa: A002 - its name
    """Tell that it was said."""
    return {"id": id, "siteId": site, "sessionId": session}


def _slots(slots: Mapping[str, Any], text: str) -> list[Payload]:
    """Say where in the text a slot's value stands, when it stands there as it is."""
    told = []
    for name, value in slots.items():
        raw = str(value)
        start = text.lower().find(raw.lower())
        span = None if start < 0 else {"start": start, "end": start + len(raw)}
        kind = "Number" if isinstance(value, int | float) else "Custom"
        told.append(
            {
                "entity": name,
                "slotName": name,
                "confidence": 1.0,
                "rawValue": raw,
                "value": {"kind": kind, "value": value},
                "range": span,
            }
        )
    return told


def _tokens(text: str, confidence: float) -> list[Payload]:
    tokens, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        tokens.append(
            {
                "value": word,
                "confidence": confidence,
                "rangeStart": start,
                "rangeEnd": at,
                "time": None,
            }
        )
    return tokens
