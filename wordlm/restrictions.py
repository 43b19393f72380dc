"""What the rules of a text do to the log-probabilities of its next word, before any filter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wordlm.draft import Draft


def restrict(logprobs: np.ndarray, drafts: Sequence[Draft]) -> None:
    """Takes away, in place, the words that may not come next, and makes repeated ones less likely.

    What is left is not brought to sum to one again. A word that must come next leaves all others at -inf, whatever
    is forbidden. Of the words in `draft.recent`, the log-probability is multiplied by `repetition_penalty`: that of
    Keskar et al. 2019 ("CTRL", section 4.1), whose scores are log-probabilities here, which are never above zero,
    so that it makes every word less likely.

    Args:
        logprobs: (batch, V) float32, the model's own; written to.
        drafts: the text of each row, all of the same rules.

    Raises:
        ValueError: not as many drafts as rows.

    Example:
        >>> from wordlm.config import SamplingConfig
        >>> from wordlm.prompts import read_prompt
        >>> from wordlm.rules import read_rules
        >>> from wordlm.tokenizer import Tokenizer
        >>> from wordlm.vocab import Vocabulary
        >>> vocabulary = Vocabulary(["<pad>", "<unk>", "<eos>", "very", "dark", "night"])
        >>> config = SamplingConfig(ban=("dark",), repetition_penalty=2)
        >>> prompt = read_prompt("very", Tokenizer(), vocabulary)
        >>> logprobs = np.log(np.full((1, 6), 0.1, np.float32))
        >>> restrict(logprobs, [Draft(read_rules(config, Tokenizer(), vocabulary), prompt)])
        >>> print(np.exp(logprobs).round(3))
        [[0.   0.   0.   0.01 0.   0.1 ]]
    """
    if not drafts:
        return
    rules = drafts[0].rules
    # Beyond float32's range, all that is repeated would be as impossible as what is forbidden, and 0 times it NaN.
    penalty = np.float32(min(rules.config.repetition_penalty, float(np.finfo(np.float32).max)))
    logprobs[:, rules.never] = -np.inf
    for row, draft in zip(logprobs, drafts, strict=True):
        required = draft.required()
        if required is not None:
            kept = row[required]
            row.fill(-np.inf)
            row[required] = kept
            continue
        if penalty != 1:
            repeated = list(set(draft.recent))
            with np.errstate(over="ignore"):
                row[repeated] *= penalty
        forbidden = draft.forbidden()
        if forbidden:
            row[forbidden] = -np.inf
