"""A judge that talks nonsense, asks for time or dies half-way: no vote is lost or asked twice."""

import threading
from email.utils import formatdate

import pytest

from assistant.errors import UserError
from engines.evaluation.benchmarks import chat
from engines.evaluation.benchmarks.chat import ATTEMPTS, Chat, ChatAwayError, ChatError
from engines.evaluation.benchmarks.items import BenchmarkError
from engines.evaluation.benchmarks.judge import TRIES, VOTES, Judge
from tests.evaluation.chat_server import Reply, marks
from tests.evaluation.test_benchmark_commands import evaluated, scores
from tests.evaluation.test_benchmark_report import given

ROWS = [{"prompt": f"question {n}", "response": f"answer {n}"} for n in range(6)]
MARKED = ("[[4]]",) * VOTES


class Time:
    """Passes as soon as somebody sleeps, and notes for how long."""

    def __init__(self):
        self.now_s, self.slept, self._lock = 0.0, [], threading.Lock()

    def clock(self):
        return self.now_s

    def sleep(self, seconds):
        with self._lock:
            self.now_s += seconds
            self.slept.append(seconds)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def judge(server, time, tmp_path):
    """Makes judges that share a file of votes, as one run and the next do."""

    def make(workers=1, **settings):
        client = Chat(server.url, "judge", sleep=time.sleep, clock=time.clock, **settings)
        return Judge(client, tmp_path / "judge.jsonl", workers=workers)

    return make


def test_votes_are_kept_and_nothing_is_asked_twice(server, judge):
    ticks = []
    first = judge().judge(ROWS[:4], tick=ticks.append)
    assert (first.votes, first.asked, first.garbled) == ((MARKED,) * 4, 4, 0)
    assert sum(ticks) == 4
    again = judge().judge([*ROWS, ROWS[0]])
    assert (again.votes, again.asked) == ((MARKED,) * 7, 2)
    assert len(server.asked) == 6
    assert len(set(server.questions())) == 6


def test_a_server_that_gives_one_vote_at_a_time_is_asked_for_the_others(server, judge):
    server.answer = lambda number, _asked: Reply(texts=(f"[[{number}]]",))
    assert judge().judge(ROWS[:1]).votes == (("[[1]]", "[[2]]", "[[3]]"),)
    assert [asked["n"] for asked in server.asked] == [3, 2, 1]


def test_votes_that_cannot_be_read_are_asked_for_anew_and_then_given_up(server, judge, tmp_path):
    def answer(_number, asked):
        if "question 2" in asked["messages"][-1]["content"]:
            return Reply(texts=("A fine answer!", "[[9]]", "0"))
        return marks(asked)

    server.answer = answer
    verdicts = judge().judge(ROWS)
    assert verdicts.votes == (MARKED, MARKED, None, MARKED, MARKED, MARKED)
    assert verdicts.garbled == 1
    assert sum("question 2" in question for question in server.questions()) == VOTES + TRIES
    assert len((tmp_path / "judge.jsonl").read_text().splitlines()) == 5
    server.answer = lambda _number, asked: marks(asked)
    assert judge().judge(ROWS).votes == (MARKED,) * 6


def test_a_yes_or_no_is_wanted_where_there_is_a_reference(server, judge):
    server.answer = lambda _number, asked: Reply(texts=("[[4]]",) * asked["n"])
    row = {**ROWS[0], "reference": "Rome"}
    assert judge().judge([row]).garbled == 1
    server.answer = lambda _number, _asked: Reply(texts=("Yes", "no.", '"Yes"'))
    assert judge().judge([row]).votes == (("Yes", "no.", '"Yes"'),)


@pytest.mark.parametrize("raw", [b"<html>", b"{}", b'{"choices": [{"text": "[[4]]"}]}'])
def test_what_is_no_chat_completion_is_one_line(server, judge, raw):
    server.answer = lambda _number, _asked: Reply(raw=raw)
    with pytest.raises(ChatError, match="its reply is no chat completion; check the address"):
        judge().judge(ROWS)


def test_a_reply_without_an_end_is_not_read_to_it(server, judge, monkeypatch):
    monkeypatch.setattr(chat, "MOST_BYTES", 1000)
    server.answer = lambda _number, _asked: Reply(raw=b" " * 5000)
    with pytest.raises(ChatError, match="its reply has no end; check the address"):
        judge().judge(ROWS)
    assert len(server.asked) == 1


def test_a_reply_that_comes_too_slowly_is_asked_for_anew(server, judge, time):
    def slow(number, asked):
        if number <= 2:
            time.now_s += 500
        return marks(asked)

    server.answer = slow
    assert judge().judge(ROWS[:1]).votes == (MARKED,)
    assert len(server.asked) == 3


def test_a_server_that_asks_for_time_gets_it_from_all_who_ask(server, judge, time):
    def busy(number, asked):
        return Reply(429, headers={"Retry-After": "7"}) if number <= 3 else marks(asked)

    server.answer = busy
    assert judge().judge(ROWS).votes == (MARKED,) * 6
    assert time.slept == [7, 7, 7]
    assert len(server.asked) == 9


@pytest.mark.parametrize("workers", [1, 3])
def test_a_judge_is_asked_no_more_in_a_minute_than_was_said(server, judge, time, workers):
    moments = []

    def answer(_number, asked):
        moments.append(time.now_s)
        return marks(asked)

    server.answer = answer
    judge(workers, per_minute=20).judge(ROWS)
    assert len(moments) == 6
    assert time.now_s >= 5 * 3
    if workers == 1:
        assert moments == [0, 3, 6, 9, 12, 15]


def test_a_server_may_name_the_moment_and_is_not_waited_for_all_day(server, judge, time):
    def busy(number, asked):
        headers = {"Retry-After": formatdate(0) if number == 1 else "86400"}
        return Reply(503, headers=headers) if number <= 2 else marks(asked)

    server.answer = busy
    assert judge().judge(ROWS[:1]).votes == (MARKED,)
    assert time.slept == [120]


def test_a_server_that_stays_busy_is_given_up_after_longer_and_longer_waits(server, judge, time):
    server.answer = lambda _number, _asked: Reply(500)
    with pytest.raises(ChatAwayError, match=rf"no answer in {ATTEMPTS} attempts \(it answers 500"):
        judge().judge(ROWS)
    assert len(server.asked) == ATTEMPTS
    assert all(2**n / 2 <= waited <= 2**n for n, waited in enumerate(time.slept))


@pytest.mark.parametrize("workers", [1, 4])
def test_a_judge_that_dies_half_way_is_asked_for_the_rest_when_it_is_back(server, judge, workers):
    server.answer = lambda number, asked: marks(asked) if number <= 3 else Reply(0)
    with pytest.raises(ChatAwayError, match="no answer"):
        judge(workers).judge(ROWS)
    known = judge().known(ROWS)
    assert known.count(MARKED) == 3
    asked = len(server.asked)
    server.answer = lambda _number, asked: marks(asked)
    assert judge(workers).judge(ROWS).votes == (MARKED,) * 6
    left = [row["prompt"] for row, votes in zip(ROWS, known, strict=True) if votes is None]
    later = "".join(server.questions()[asked:])
    assert len(server.asked) - asked == 3
    assert all(prompt in later for prompt in left)


def test_a_refusal_ends_the_run_at_once_and_keeps_the_votes(server, judge):
    server.answer = lambda number, asked: marks(asked) if number <= 2 else Reply(401)
    with pytest.raises(ChatError, match="answers 401; check the address, the model and the key"):
        judge().judge(ROWS)
    assert len(server.asked) == 3
    assert judge().known(ROWS).count(MARKED) == 2


def test_two_runs_do_not_write_one_file_of_votes(server, judge, tmp_path):
    one = judge()

    def answer(_number, asked):
        with pytest.raises(BenchmarkError, match="another run is writing it"):
            judge().judge(ROWS[1:2])
        return marks(asked)

    server.answer = answer
    assert one.judge(ROWS[:1]).votes == (MARKED,)


def test_a_report_counts_what_the_judge_said_nothing_readable_of(server, tmp_path):
    server.answer = lambda number, asked: (
        Reply(texts=("Well done.",) * asked["n"]) if number <= VOTES + TRIES else marks(asked)
    )
    options = ["--judge-url", server.url, "--judge-workers", "1"]
    out, _ = given(tmp_path, "commoneval", ROWS, *options)
    score = scores(out)["commoneval"]
    assert (score["n"], score["value"]) == (6, 4)
    report = (out / "report.md").read_text()
    assert "1 responses got no votes of the judge that can be read" in report
    items = (out / "items.jsonl").read_text().splitlines()
    assert '"score": null' in items[0]
    assert all('"score": 4.0' in line for line in items[1:])


def test_a_judge_that_refuses_is_one_line_and_what_it_said_is_in_the_report(server, tmp_path):
    server.answer = lambda number, asked: marks(asked) if number <= 2 else Reply(403)
    options = ["--judge-url", server.url, "--judge-workers", "1"]
    with pytest.raises(UserError, match=r"answers 403; .* the votes so far are kept") as caught:
        given(tmp_path, "commoneval", ROWS, *options)
    assert "\n" not in str(caught.value)
    out = tmp_path / "commoneval"
    assert scores(out)["commoneval"]["value"] is None
    assert "4 of 6 responses are not judged" in (out / "report.md").read_text()
    server.answer = lambda _number, asked: marks(asked)
    path = tmp_path / "commoneval.jsonl"
    evaluated("voicebench", "--responses", path, "--out", out, *options)
    assert scores(out)["commoneval"]["value"] == 4
    assert len(server.asked) == 3 + 4
