"""What DIFFA's stages read: prefix, prompt, masks and loss, held against the published ones."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from engines.published import read_diffa  # noqa: E402
from engines.training.diffa.model import hear, stage_loss  # noqa: E402
from engines.training.diffa.pairs import read_pairs  # noqa: E402
from tests.training.diffa import (  # noqa: E402
    END,
    GOLDEN,
    GOLDEN_ADAPTERS,
    GOLDEN_WHISPER,
    MASK,
    STAGES,
    batches,
    models_of,
)


@pytest.mark.parametrize("stage", STAGES)
def test_the_prefix_is_the_references_before_the_marked_word(place, stage):
    """Its own vectors: 20 prompts or 64 acoustic embeddings, then the semantic ones."""
    vectors = load_file(GOLDEN / "diffa-tiny" / "vectors.safetensors")
    diffa = read_diffa(GOLDEN_ADAPTERS, GOLDEN_WHISPER)
    batch = batches(place, stage, size=1).draw(0)
    frames = vectors["attention_mask"].sum(-1)
    batch = replace(batch, features=vectors["input_features"], lengths=frames)
    with torch.no_grad():
        prefix, lengths = hear(diffa, batch, stage)
    wanted = vectors[{"align": "stage1", "instruct": "stage2"}[stage] + ".speech_embeds"]
    assert lengths.tolist() == [wanted.shape[1]]
    torch.testing.assert_close(prefix, wanted, rtol=1e-3, atol=1e-3)


def test_the_prompt_is_the_published_one_and_is_never_masked(place):
    drawn = batches(place, "instruct")
    tokenizer = drawn.tokenizer
    masked, ends = 0, 0
    for number in range(20):
        batch = drawn.draw(number)
        for ids, head, targets in zip(batch.ids, batch.heads, batch.targets, strict=True):
            words = [tokenizer.id_to_token(int(each)) for each in ids]
            assert words[head - 5 : head] == ["This", "is", "the", "audio", ":"]
            assert words[head : head + 4] == ["<", "audio", ">", "."]
            assert words[head + 4] in {"what", "who"}
            assert words[head + 5 : head + 9] == [
                "<|eot_id|>", "<|start_header_id|>", "assistant", "<|end_header_id|>",
            ]  # fmt: skip
            hidden = targets >= 0
            assert not hidden[: head + 9].any()
            assert torch.equal(hidden, ids == MASK)
            masked += int(hidden.sum())
            ends += int((targets == END).sum())
    assert masked > 50
    assert ends > 0  # padding is learnt as well: it is how a response ends


def test_the_loss_is_lladas(place):
    """Each clip alone and without padding gives, weighted, what they give together."""
    diffa, lm = models_of(place)
    batch = batches(place, "instruct", size=3).draw(0)
    assert len(set(batch.lengths.tolist())) > 1
    together = stage_loss(diffa, lm, "instruct")(batch)
    total = torch.tensor(0.0)
    for row in range(3):
        prefix, lengths = diffa(batch.features[row : row + 1], batch.lengths[row : row + 1])
        head, words = int(batch.heads[row]), lm.embed(batch.ids[row])
        sound = prefix[0, : lengths[0]]
        hidden = lm(torch.cat([words[:head], sound, words[head:]])[None])[0]
        log_p = lm.logits(torch.cat([hidden[:head], hidden[head + len(sound) :]])).log_softmax(-1)
        for place_, target in enumerate(batch.targets[row].tolist()):
            if target >= 0:
                total = total - batch.weights[row] * log_p[place_, target]
    torch.testing.assert_close(together, total / batch.responses, rtol=1e-4, atol=1e-4)


def test_mask_ratios_are_drawn_evenly(place):
    drawn = batches(place, "instruct", size=4)
    ratios = torch.cat([1 / drawn.draw(number).weights for number in range(25)])
    assert 1e-3 <= ratios.min() < 0.1
    assert 0.9 < ratios.max() <= 1.0
    assert 0.4 < ratios.mean() < 0.6


def test_align_reads_each_recording_once_and_a_list_as_well(place, tmp_path):
    lines = (place / "data" / "pairs.jsonl").read_text().splitlines()
    whole = place / "data" / "list.json"
    whole.write_text(f"[{','.join(lines)}]")
    assert [len(read_pairs(whole, stage, 30).kept) for stage in STAGES] == [6, 12]
    whole.unlink()
