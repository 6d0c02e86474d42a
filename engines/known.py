"""What a checkpoint folder knows in words, without its language model."""

from collections.abc import Callable, Sequence

from engines.checkpoints import Checkpoint, CheckpointError
from engines.stock import Questions, Stock, StockError
from engines.words import Reader, WordModel, WordsError


def known_words(checkpoint: Checkpoint) -> tuple[Reader | None, Stock | None]:
    """What the folder knows in words: those of any sentence, and whole questions."""
    words, stock = checkpoint.words, checkpoint.stock
    try:
        model = WordModel.read(words) if words.is_file() else None
        questions = Questions.read(stock) if stock.is_file() else None
        encode = in_pieces(checkpoint, model.words if model is not None else ())
        return (
            Reader(model, encode) if model is not None else None,
            Stock(questions, encode) if questions is not None else None,
        )
    except (WordsError, StockError) as error:
        raise CheckpointError(f"{error}; ship the model again") from error


def in_pieces(checkpoint: Checkpoint, words: Sequence[str]) -> Callable[[str], Sequence[int]]:
    """From a word to its pieces; those of `words` are made at once."""
    pieces: dict[str, list[int]] = {word: [] for word in words}
    if pieces:
        # a batch, though of one: other threads may run meanwhile
        (whole,) = checkpoint.tokenizer.encode_batch(
            [[*pieces]], is_pretokenized=True, add_special_tokens=False
        )
        spelled = [*pieces.values()]
        for piece, word in zip(whole.ids, whole.word_ids, strict=True):
            if word is not None:  # as a token that stands for no word would be
                spelled[word].append(piece)

    def encode(word: str) -> Sequence[int]:
        if word not in pieces:
            pieces[word] = checkpoint.tokenizer.encode(word, add_special_tokens=False).ids
        return pieces[word]

    return encode
