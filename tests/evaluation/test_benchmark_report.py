"""What a report says of figures that are partly, or wholly, chance."""

import json

import pytest

from tests.evaluation.test_benchmark_commands import evaluated, scores

LETTERS = ["the answer is b", "the answer is b", "the answer is a", "the answer is b"]


def given(tmp_path, subset, rows, *options):
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / f"{subset}.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    printed = evaluated("voicebench", "--responses", path, "--out", tmp_path / subset, *options)
    return tmp_path / subset, printed


def choices(responses):
    return [
        {"question_id": str(place), "prompt": "?", "reference": "B", "response": response}
        for place, response in enumerate(responses)
    ]


def test_a_figure_that_is_mostly_guesses_says_so_wherever_it_is_shown(tmp_path):
    rows = choices(["mumble"] * 6 + LETTERS)
    out, printed = given(tmp_path, "openbookqa", rows)
    assert "6 of 10" in printed
    score = scores(out)["openbookqa"]
    assert (score["guessed"], score["unreadable"], score["read_percent"]) == (6, 6, 75.0)
    told = (
        "no answer could be read from 6 of 10 responses (60.0 %), which are guessed at random, as "
        "the official rule does: the figure is mostly chance; of the others 75.00 % are right"
    )
    report, page = ((out / f"report.{kind}").read_text() for kind in ("md", "html"))
    assert f"OpenBookQA: {told}" in report
    assert f"OpenBookQA: {told}" in page
    (line,) = (line for line in report.splitlines() if line.startswith("| OpenBookQA"))
    cells = [cell.strip() for cell in line.split("|")]
    head = next(line for line in report.splitlines() if "this run" in line)
    assert cells[[cell.strip() for cell in head.split("|")].index("guessed")] == "6 (60 %)"
    assert "<td>6 (60 %)</td>" in page


def test_a_figure_that_is_guesses_alone_is_called_chance(tmp_path):
    row = {"id": "navigate_1", "prompt": "?", "reference": "yes", "response": "mumble"}
    out, printed = given(tmp_path, "bbh", [row, {**row, "id": "navigate_2"}])
    assert "2 of 2" in printed
    assert scores(out)["bbh"]["read_percent"] is None
    assert (
        "as the official rule does: the figure is chance alone" in (out / "report.md").read_text()
    )


def test_what_is_read_or_strictly_wrong_is_no_guess(tmp_path):
    out, printed = given(tmp_path, "openbookqa", choices(LETTERS))
    score = scores(out)["openbookqa"]
    assert (score["guessed"], score["read_percent"], score["value"]) == (0, None, 75)
    assert "guessed" not in printed
    out, _ = given(tmp_path, "openbookqa", choices(["mumble", *LETTERS]), "--strict")
    score = scores(out)["openbookqa"]
    assert (score["guessed"], score["unreadable"], score["value"]) == (0, 1, 60)
    assert "from 1 responses (20.0 %): counted as wrong" in (out / "report.md").read_text()


def test_a_benchmark_that_guesses_nothing_has_no_column_of_guesses(tmp_path):
    row = {"prompt": "?", "response": "Sure."}
    out, _ = given(tmp_path, "advbench", [row])
    assert "guessed" not in (out / "report.md").read_text()


@pytest.mark.parametrize("letter", ["#", "five"])
def test_a_letter_that_is_none_is_not_called_an_unreadable_answer(tmp_path, letter):
    row = {
        "key": 1, "prompt": "?", "response": "Ha.",
        "instruction_id_list": ["keywords:letter_frequency"],
        "kwargs": [{"letter": letter, "let_frequency": 1, "let_relation": "at least"}],
    }  # fmt: skip
    out, _ = given(tmp_path, "ifeval", [row])
    report = (out / "report.md").read_text()
    assert "1 × a random letter counted for what is no letter" in report
    assert "no answer could be read" not in report


def test_a_page_shows_figures_as_bars_and_chance_as_chance(tmp_path):
    out, _ = given(tmp_path, "openbookqa", choices(["mumble"] * 6 + LETTERS))
    value = scores(out)["openbookqa"]["value"]
    page = (out / "report.html").read_text()
    assert f'<td class="own bar chance" style="--percent:{value:.1f}%">{value:.2f}</td>' in page
    out, _ = given(tmp_path / "two", "openbookqa", choices([*LETTERS, "mumble"]), "--strict")
    page = (out / "report.html").read_text()
    assert '<td class="own bar" style="--percent:60.0%">60.00</td>' in page
    assert '<td class="own none">not scored</td>' in page  # the overall figure
    assert '<td class="none">–</td>' in page


def test_chance_is_not_drawn_beside_what_was_read(tmp_path):
    files = {
        "openbookqa": choices(["mumble"] * 4),
        "mmsu": choices(LETTERS),
        "advbench": [{"prompt": "?", "response": "Sure."}],
        "bbh": [{"id": "navigate_1", "prompt": "?", "reference": "yes", "response": "yes"}],
    }
    words = []
    for name, rows in files.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        words += ["--responses", path]
    evaluated("voicebench", *words, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    own = page.split('<g class="series s0">')[1].split("</g>")[0]
    assert own.count("<circle") == 3
    assert "What is mostly chance is not drawn." in page
    assert page.split('<g class="series s1">')[1].split("</g>")[0].count("<circle") >= 3
