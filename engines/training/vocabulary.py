"""nano's tokenizer: byte-pair pieces over what is said (lower case) and what is answered."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIAL = (
    "<|endoftext|>",
    "<|mask|>",
    "<|transcribe|>",
    "<|answer|>",
    "<|describe|>",
    *(f"<|reserved_{n}|>" for n in range(5, 16)),
)
"""The first ids. The first is end of turn and padding; the mask also serves CTC as its blank."""

SIZE = 1024


def train_tokenizer(lines: Iterable[str], size: int = SIZE) -> Tokenizer:
    """A tokenizer of `size` pieces that covers printable ASCII; accents are dropped."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Replace("’", "'"),
            normalizers.Replace(Regex(r"[^\x20-\x7e]"), ""),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Split(Regex(r"[0-9.,!?;:\"()$%/-]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace()
    alphabet = [chr(c) for c in range(0x21, 0x7F)] + ["▁"]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Ids of the special tokens by their bare names; raises `ValueError` for another vocabulary."""
    ids = {name.strip("<|>"): tokenizer.token_to_id(name) for name in SPECIAL}
    missing = [name for name, number in ids.items() if number is None]
    if missing:
        raise ValueError(f"this tokenizer is not nano's: it has no {missing[0]}")
    return {name: int(number) for name, number in ids.items() if number is not None}
