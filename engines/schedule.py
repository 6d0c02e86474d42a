"""How a response is decoded: block by block, by which rule, with which cache.

Sources: LLaDA (arXiv 2502.09992, appendix A.3) and Fast-dLLM (arXiv 2505.22618, section 3).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CacheKind = Literal["none", "prefix", "dual", "exact"]
"""What a pass recomputes after the first of a block.

`none`: everything. `prefix`: the block and all behind it. `dual`: the block. These suit
bidirectional models; the last two are approximate. `exact` suits block-causal models, where
the keys and values of a finished block never change: the block, and once the finished one.
"""


@dataclass(frozen=True, slots=True)
class Steps:
    """A fixed number of passes per block, the remainder going to the first (the reference)."""

    per_block: int


@dataclass(frozen=True, slots=True)
class Exactly:
    """So many tokens each pass, whatever the model says."""

    tokens: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """Everything at least this probable."""

    probability: float


@dataclass(frozen=True, slots=True)
class Factor:
    """The largest n with `(n + 1)(1 - c_n) < factor`: parallel as if one by one (theorem 1)."""

    factor: float


Rule = Steps | Exactly | Threshold | Factor
"""Which proposals to commit after a pass."""


def quota(rule: Rule, ranked: Floats, passes: int, masks: int) -> int:
    """Count the proposals to commit.

    `ranked` holds the log-probabilities of a block's masked positions, best first; `passes` were
    spent on the block before this one; it began with `masks`.
    """
    match rule:
        case Steps(per_block):
            base, extra = divmod(masks, per_block)
            return base + (passes < extra)
        case Exactly(tokens):
            return tokens
        case Threshold(probability):
            # in double precision, as the reference: a margin of 37 there is certainty
            return int((np.exp(ranked.astype(np.float64)) >= probability).sum())
        case Factor(factor):
            doubt = -np.expm1(ranked)
            return int(((np.arange(len(ranked)) + 2) * doubt < factor).sum())


@dataclass(frozen=True, slots=True)
class Schedule:
    """How one response is decoded."""

    max_new_tokens: int = 128
    """Rounded up to whole blocks."""
    block_length: int = 32
    rule: Rule = Threshold(0.9)
    cache: CacheKind = "exact"
    temperature: float = 0.0
    """Of the Gumbel noise on the proposals; their confidence is taken without it."""
    seed: int = 0
    cfg_scale: float = 0.0
    """Classifier-free guidance against a masked prompt; 0 is off, above 0 costs twice."""
    lookahead: int = 0
    """Blocks behind the first unfinished one that are denoised in the same pass."""
    lookahead_from: float = 0.5
    """Committed share of a block from which the next one is looked at: it then gets what the rule
    grants (D2F's τ_add, arXiv 2508.09192)."""
    activation: float = 0.95
    """Committed share of a block from which the next one gets at least one token a pass, as the
    first unfinished one does (D2F's τ_act)."""
    stop_ids: tuple[int, ...] = ()
    """A committed one ends the response; it and everything behind it are dropped."""
    cautious_end: bool = False
    """A stop token counts as no surer than the least sure place before it. Models trained with
    end padding see little else in an empty block, and would end before they have begun."""

    @property
    def patience(self) -> int:
        """Passes after which a block ends; only a model that proposes masks needs that many."""
        return self.rule.per_block if isinstance(self.rule, Steps) else 2 * self.block_length

    @property
    def blocks(self) -> int:
        """Blocks of the response."""
        return -(-self.max_new_tokens // self.block_length)
