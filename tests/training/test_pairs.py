# ruff: noqa: S311 - seeds make tests repeatable
import gzip
import json
import random
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from typing import ClassVar

import numpy as np
import pytest
import soundfile

from engines.training.families import RequestsError
from engines.training.instructions import (
    AnswererBusyError,
    InstructionsError,
    LanguageModel,
    NoTargetError,
    Recording,
    patiently,
    render,
    write_pairs,
)
from engines.training.pairs import SHARES, build_pairs, lm_sentences, take
from engines.training.recordings import read_recordings
from engines.training.requests import held_out
from engines.training.speech import read_speech

CONVERSATIONS = """categories:
- test
conversations:
- - Do you knit socks
  - My brain does not
    wear any socks.
  - Oh
- - Only one line
- - Visit http://example.org please
  - It is nice there.
"""


def write_lines(path, rows):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    """The smallest text folder with every source."""
    write_lines(tmp_path / "clinc.jsonl.gz", [{"text": "wire cash to Bob", "intent": "transfer"}])
    write_lines(
        tmp_path / "slurp.jsonl.gz", [{"text": "any rain coming", "intent": "weather_query"}]
    )
    write_lines(tmp_path / "snips.jsonl.gz", [{"text": "odd", "intent": "Unmapped"}])
    questions = [
        {"question": "what time zone is Rome in?", "answers": ["Central European Time"]},
        {"question": "what is it?", "answers": ["one", "two"]},
    ]
    write_lines(tmp_path / "webquestions.jsonl.gz", questions)
    trivia = [
        {"question": "Who sailed the Beagle?", "answer": "Robert FitzRoy", "category": "history"},
        {"question": "Which of these swims?", "answer": "Fish", "category": "animals"},
    ]
    write_lines(tmp_path / "opentriviaqa.jsonl.gz", trivia)
    write_lines(tmp_path / "gsm8k-train.jsonl.gz", [{"question": "Ann has 3 pens. How many?"}])
    piles = tmp_path / "home-llm-piles"
    piles.mkdir()
    (piles / "pile_of_device_names.csv").write_text(
        'device_name,description\nfan.den,"Den Fan"\n', encoding="utf-8"
    )
    (piles / "pile_of_templated_actions.csv").write_text(
        "device_type,service,phrase,multiplier\nfan,turn_on,Spin up the <device_name>,1\n"
    )
    (piles / "pile_of_status_requests.csv").write_text(
        "device_type,state,phrase,assistant_response\nfan,on,Does the <device_name> spin,Yes\n"
    )
    talk = tmp_path / "chatterbot-corpus"
    talk.mkdir()
    for name in (
        *("ai", "botprofile", "conversations", "emotion", "food", "greetings", "health"),
        *("humor", "money", "movies", "psychology", "sports", "trivia"),
    ):
        (talk / f"{name}.yml").write_text(CONVERSATIONS, encoding="utf-8")
    return tmp_path


def test_every_source_gives_pairs(folder):
    pairs = take(folder, 3000, seed=1)
    assert {pair.source for pair in pairs} == set(SHARES)
    answers = {pair.text: pair.answer for pair in pairs}
    assert answers["wire cash to bob"] == "I can't transfer money, sorry."
    assert answers["any rain coming"] == "I don't have weather data, sorry."
    assert answers["what time zone is rome in"] == "Central European Time."
    assert answers["who sailed the beagle"] == "That is Robert FitzRoy."
    assert answers["spin up the den fan"] == "Okay, turning on the den fan."
    assert answers["does the den fan spin"] == "I can't see the state of the den fan."
    assert answers["do you knit socks"] == "My brain does not wear any socks."


def test_unclear_and_unfit_lines_are_left_out(folder):
    texts = {pair.text for pair in take(folder, 3000, seed=1)}
    assert not texts & {"odd", "what is it", "which of these swims", "only one line"}
    assert not [text for text in texts if "http" in text]


def test_pairs_are_short_spoken_and_never_held_out(folder):
    for pair in take(folder, 2000, seed=2):
        assert re.fullmatch(r"[a-z' ]+", pair.text)
        assert len(pair.answer) <= 120
        assert pair.accepted
        assert not held_out(pair.text)


def test_the_same_seed_gives_the_same_pairs(folder):
    first = list(islice(build_pairs(folder, random.Random(9)), 100))
    assert first == take(folder, 100, seed=9)


def test_language_model_text_has_answers_and_statements(folder):
    sentences = set(lm_sentences(folder))
    assert {"The capital of France is Paris.", "Ann has 3 pens."} <= sentences


def test_a_missing_text_folder_is_told_in_one_line(tmp_path):
    with pytest.raises(RequestsError, match="is this the text folder"):
        take(tmp_path, 1, seed=0)


CLIP = Recording(
    audio_id="a1",
    path="a1.opus",
    transcription="what is two plus two",
    seconds=2.6,
    dataset="own",
    answer="Two plus two is 4.",
    gender="female",
    pace="fast",
)


def test_metadata_is_rendered_as_text():
    assert render(CLIP) == (
        '[00:00:00 - 00:00:03]: "what is two plus two" (Gender: Female, Pace: fast, Duration: 3s)'
    )


def test_pairs_are_written_in_the_published_schema(tmp_path):
    path = tmp_path / "pairs.jsonl"
    count = write_pairs(path, [CLIP])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert count == len(rows) == 5
    assert list(rows[0]) == [
        *("audio_id", "audio_filepath", "transcription", "input", "target"),
        *("dataset", "duration", "seed_transcript"),
    ]
    targets = {row["input"]: row["target"] for row in rows}
    assert targets["Answer the speaker."] == "Two plus two is 4."
    assert targets["Is the speaker a man or a woman?"] == "A woman is speaking."
    assert targets["What does the speaker say?"] == "what is two plus two"


def test_nothing_is_left_behind_when_there_is_nothing_to_write(tmp_path):
    with pytest.raises(InstructionsError, match="no recordings"):
        write_pairs(tmp_path / "pairs.jsonl", [])
    assert not list(tmp_path.iterdir())


def test_an_unwritable_file_is_told_in_one_line(tmp_path):
    with pytest.raises(InstructionsError, match="choose a writable file"):
        write_pairs(tmp_path / "missing" / "pairs.jsonl", [CLIP])


class Server(BaseHTTPRequestHandler):
    status, reply = 200, b"{}"
    asked: ClassVar[list[dict]] = []

    def do_POST(self):
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.reply)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), name="chat-server")
        thread.start()
        yield handler, f"http://127.0.0.1:{running.server_port}/v1"
        running.shutdown()
        thread.join(5)


def test_a_language_model_can_write_the_targets(server, tmp_path):
    handler, url = server
    handler.reply = b'{"choices": [{"message": {"content": " A woman asks. "}}]}'
    write_pairs(tmp_path / "pairs.jsonl", [CLIP], LanguageModel(url, "any"))
    rows = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert {row["target"] for row in rows} == {"A woman asks."}
    assert handler.asked[0]["model"] == "any"
    assert "Gender: Female" in handler.asked[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("status", "reply", "error"),
    [
        (500, b"", AnswererBusyError),
        (429, b"", AnswererBusyError),
        (401, b"", InstructionsError),
        (200, b"no json", InstructionsError),
        (200, b'{"choices": []}', InstructionsError),
        (200, b'{"choices": [{"message": {"content": null}}]}', InstructionsError),
    ],
)
def test_a_failing_language_model_is_told_in_one_line(server, status, reply, error):
    handler, url = server
    handler.status, handler.reply = status, reply
    with pytest.raises(error, match=url) as told:
        LanguageModel(url, "any", timeout_seconds=5)("x", "y")
    assert "\n" not in str(told.value)


def test_a_language_model_that_is_away_can_be_tried_again():
    with pytest.raises(AnswererBusyError, match="no answer"):
        LanguageModel("http://127.0.0.1:9/v1", "any", timeout_seconds=2)("x", "y")


def test_an_address_that_is_none_is_refused():
    with pytest.raises(InstructionsError, match="not an address"):
        LanguageModel("file:///etc/passwd", "any")("x", "y")


def answerer(*replies):
    """A model that replies in turn; errors are raised. What it was asked is in `asked`."""
    waiting, asked = list(replies), []

    def answer(rendered, question):
        asked.append(question)
        reply = waiting.pop(0) if waiting else "A woman asks."
        if isinstance(reply, Exception):
            raise reply
        return reply

    answer.asked = asked
    return answer


def test_a_busy_language_model_is_asked_again():
    slept = []
    busy = answerer(AnswererBusyError("busy"), AnswererBusyError("busy"), "Yes.")
    assert patiently(busy, "x", "y", slept.append) == "Yes."
    assert slept == [1.0, 2.0]
    with pytest.raises(AnswererBusyError):
        patiently(answerer(*[AnswererBusyError("busy")] * 9), "x", "y", slept.append)


def test_pairs_without_a_target_are_left_out_and_counted(tmp_path):
    counts = Counter()
    model = answerer(NoTargetError("none"))
    written = write_pairs(tmp_path / "pairs.jsonl", [CLIP], model, counts)
    assert counts == {"without a target": 1}
    assert written == len(model.asked) - 1


def test_a_model_that_gives_no_targets_at_all_ends_the_work(tmp_path):
    with pytest.raises(NoTargetError):
        write_pairs(tmp_path / "pairs.jsonl", [CLIP] * 9, answerer(*[NoTargetError("none")] * 99))
    assert not (tmp_path / "pairs.jsonl").exists()


def test_what_was_answered_before_a_failure_is_not_asked_again(tmp_path):
    out = tmp_path / "pairs.jsonl"
    failing = answerer("One.", "Two.", InstructionsError("401"))
    with pytest.raises(InstructionsError, match="401"):
        write_pairs(out, [CLIP], failing)
    assert not out.exists()
    with (tmp_path / "pairs.jsonl.asked").open("a") as kept:
        kept.write('["torn')
    again = answerer()
    count = write_pairs(out, [CLIP], again)
    targets = [json.loads(line)["target"] for line in out.read_text().splitlines()]
    assert targets[:2] == ["One.", "Two."]
    assert len(again.asked) == count - 2
    assert [each.name for each in tmp_path.iterdir()] == ["pairs.jsonl"]


@pytest.mark.parametrize("content", ["", "   ", "x" * 2000])
def test_a_reply_of_no_or_endless_words_is_no_target(server, content):
    handler, url = server
    handler.reply = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
    with pytest.raises(NoTargetError, match="characters"):
        LanguageModel(url, "any", timeout_seconds=5)("x", "y")


def test_lines_of_a_manifest_that_are_none_are_left_out_and_counted(data):
    manifest = data / "speech" / "manifest.jsonl"
    good, _ = read_recordings(manifest)
    lines = ["[1]", '{"file": 5}', '{"file": "a.wav", "text": 7}', "{torn", '{"text": "no file"}']
    odd = manifest.with_name("odd.jsonl")
    odd.write_bytes(manifest.read_bytes() + "\n".join(lines).encode() + b'\n{"file": "\xff"}')
    found, malformed = read_recordings(odd)
    odd.unlink()
    assert found == good
    assert malformed == len(lines) + 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_cannot_be_read(tmp_path, value):
    samples = np.full(1600, 0.1, np.float32)
    samples[100] = value
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    with pytest.raises(OSError, match="no numbers"):
        read_speech(tmp_path / "a.wav")
