"""How many spoken questions are answered acceptably, by lists of accepted words."""

from collections.abc import Callable, Sequence
from typing import Any

from engines.evaluation.samples import Audio, ManifestError, Noise, Sample, heard
from engines.evaluation.verdicts import Verdict, summary
from engines.training.requests import acceptable


def evaluate(
    samples: Sequence[Sample],
    answer: Callable[[Audio], str],
    *,
    noise: Noise | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Answer every recording whose line lists what is `accepted`: words, any of which is enough.

    The result is ready for JSON: `accuracy`, `n`, its interval, the same `by` kind, source and
    speaker, the mistakes in `wrong`, and `unreadable`. Raises `ManifestError` where no line lists
    anything, or one lists something else than words.
    """
    listed = [sample for sample in samples if "accepted" in sample.about]
    if not listed:
        raise ManifestError('no line of the manifest has "accepted" (a list of words)')
    for sample in listed:
        accepted = sample.about["accepted"]
        if not isinstance(accepted, list) or not all(isinstance(word, str) for word in accepted):
            raise ManifestError(f'{sample.name}: "accepted" must be a list of words')
    unreadable: list[str] = []
    verdicts = []
    for sample, audio in heard(listed, noise, unreadable):
        said = answer(audio)
        right = acceptable(said, sample.about["accepted"])
        asked = {"asked": sample.about.get("text"), "accepted": sample.about["accepted"]}
        verdicts.append(Verdict(sample, right, {**asked, "answer": said}))
        tick()
    return {**summary(verdicts, unnamed={}), "unreadable": unreadable}
