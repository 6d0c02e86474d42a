"""A little of everything that training reads, and a run's folder of the smallest shapes."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engines.training.augment import noises, rooms
from engines.training.corpus import CorpusWriter
from engines.training.vocabulary import train_tokenizer

WORDS = "turn on the kitchen light set a timer for five minutes what time is it stop".split()

SHAPES = {
    "encoder": """
seed = 0
save_every = 3
[schedule]
steps = 4
learning_rate = 3e-3
warmup = 1
decay = 0
[sound]
batch_s = 6.0
[sound.shares]
"speech/text" = 0.8
human = 0.2
[shape]
d_model = 32
n_layers = 2
n_heads = 2
ff_size = 48
kernel = 3
""",
    "lm": """
seed = 0
save_every = 3
batch_size = 6
block_length = 8
acoustic = 2
slots = 6
[schedule]
steps = 4
learning_rate = 3e-3
warmup = 1
decay = 0
[shape]
d_model = 32
n_layers = 1
n_heads = 2
mlp_hidden_size = 48
embedding_size = 128
mask_token_id = 1
eos_token_id = 0
rope_theta = 10_000.0
max_sequence_length = 256
""",
}
ADAPTERS = """
seed = 0
save_every = 3
trained = {trained}
unfrozen = ["speech", "lm"]
[schedule]
steps = 3
learning_rate = 3e-3
warmup = 1
decay = 0
[tasks]
transcribe = 0.5
answer = 0.3
describe = 0.2
[sound]
batch_s = 6.0
[sound.shares]
"speech/text" = 0.8
human = 0.2
[weights]
ctc = 0.1
[adapters]
taps = [1, 2]
"""
SHAPES["align"] = ADAPTERS.format(trained='["speech.semantic_connector"]')
SHAPES["instruct"] = ADAPTERS.format(
    trained='["speech.semantic_connector", "speech.acoustic_connector"]'
)


def hum(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Something like speech: a few tones that come and go."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    tones = sum(np.sin(2 * np.pi * rng.uniform(100, 3000) * time) for _ in range(4))
    return (tones * np.sin(2 * np.pi * 3 * time) * 4000).astype(np.int16)


def fill_corpus(folder: Path, clips: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    with CorpusWriter(folder) as writer:
        for number in range(clips):
            text = " ".join(rng.choice(WORDS, 3))
            audio = hum(rng, rng.uniform(0.6, 1.2))
            writer.add(
                audio,
                text=text,
                speaker=f"someone/{number % 3}",
                source="test",
                gender="male" if number % 2 else "female",
                pace="fast",
            )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run after stage `speech`, with the numbers of the smallest stages in it."""
    rooms()  # made once here, and not by every process that makes batches
    noises()
    run = tmp_path_factory.mktemp("prepared")
    fill_corpus(run / "speech" / "text", 24)
    fill_corpus(run / "human", 6, seed=1)
    train_tokenizer([" ".join(WORDS)] * 4, size=128).save(str(run / "tokenizer.json"))
    with (run / "pairs.jsonl").open("w") as pairs:
        for start in range(len(WORDS) - 3):
            row = {"text": " ".join(WORDS[start : start + 3]), "answer": "Okay.", "weight": 1.0}
            pairs.write(json.dumps(row) + "\n")
    for stage, text in SHAPES.items():
        (run / f"{stage}.toml").write_text(text)
    return run


@pytest.fixture
def run(prepared: Path, tmp_path: Path) -> Path:
    """A copy of it, to train in."""
    return Path(shutil.copytree(prepared, tmp_path / "run"))


@pytest.fixture(scope="session")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that went through every stage."""
    pytest.importorskip("torch")
    from engines.training.recipe import Options, train
    from engines.training.runs import STAGES

    run = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("trained") / "run"))
    for stage in STAGES:
        train(stage, run, Options(threads=1))
    return run


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Golden models of the published shapes, pairs and numbers to train with."""
    torch = pytest.importorskip("torch")
    from tests.training.diffa import write_place

    torch.set_num_threads(1)  # matrices this small only wait for a second thread
    return write_place(tmp_path_factory.mktemp("diffa"))


@pytest.fixture(scope="session")
def both(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of DIFFA that went through both stages, four steps each."""
    from engines.training.diffa.recipe import train
    from tests.training.diffa import STAGES, options, sources

    run = tmp_path_factory.mktemp("both") / "run"
    for stage in STAGES:
        assert train(stage, run, sources(place), options(place, steps=4)) == []
    return run


def _lines(path: Path, rows: list[object]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a few sentences of each source and a few recordings."""
    folder = tmp_path_factory.mktemp("data")
    text = folder / "text"
    piles = text / "home-llm-piles"
    for each in (piles, text / "piper-prompts", text / "chatterbot-corpus"):
        each.mkdir(parents=True)
    for name in ("slurp", "clinc", "snips", "banking77"):
        said = [f"{name} sentence {a} of {b}" for a in WORDS[:8] for b in WORDS[:8]]
        _lines(text / f"{name}.jsonl.gz", [{"text": each, "intent": "none"} for each in said])
    _lines(text / "webquestions.jsonl.gz", [{"question": "who sang it?", "answers": ["Somebody"]}])
    trivia = {"question": "What is the tallest tree?", "answer": "Redwood", "category": "world"}
    _lines(text / "opentriviaqa.jsonl.gz", [trivia])
    _lines(text / "gsm8k-train.jsonl.gz", [{"question": "Ann has two apples. How many?"}])
    _lines(text / "sgd-dialogues.jsonl.gz", [[["U", "find me a bus"], ["S", "Where to?"]]])
    with gzip.open(text / "slurp-lm.txt.gz", "wt") as file:
        file.write("remind me tomorrow\nplay some jazz\n")
    prompts = text / "piper-prompts" / "English_(United_Kingdom)_General.txt"
    prompts.write_text("1\tThe sun rose.\n")
    (piles / "pile_of_device_names.csv").write_text("device_name,description\nlight.a,desk lamp\n")
    for pile, column, value in (
        ("templated_actions", "service", "turn_on"),
        ("status_requests", "state", "on"),
    ):
        header, row = f"device_type,{column},phrase", f"light,{value},switch on <device_name>"
        (piles / f"pile_of_{pile}.csv").write_text(f"{header}\n{row}\n")
    for pile in ("specific_actions", "refusals"):
        (piles / f"pile_of_{pile}.csv").write_text("phrase\nopen the garage\n")
    (piles / "pile_of_todo_items.txt").write_text("water the plants\n")
    names = "ai botprofile computers conversations emotion food gossip greetings health humor"
    for name in f"{names} literature money movies psychology science sports trivia".split():
        (text / "chatterbot-corpus" / f"{name}.yml").write_text(
            "categories:\n- x\nconversations:\n- - Are you well\n  - I am well today\n"
        )
    _recordings(folder / "speech")
    return folder


def _recordings(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(3)
    with (folder / "manifest.jsonl").open("w") as manifest:
        for number in range(24):
            name, text = f"reader{number:02}.flac", "we read a line" if number else "?!"
            about = {"speaker": f"reader/{number}", "kind": "read", "seconds": 0.8, "text": text}
            manifest.write(json.dumps({"file": f"set/{name}", **about}) + "\n")
            (folder / "set").mkdir(exist_ok=True)
            if number == 5:
                (folder / "set" / name).write_bytes(b"no sound")
            else:
                soundfile.write(folder / "set" / name, hum(rng, 0.8), 16_000)
