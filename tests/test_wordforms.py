"""What the tokenizer and the detokenizer share."""

import pytest
import regex

from wordlm.wordforms import ELIDED, LETTER, OWN_WORDS, SOLO, Memo


def test_memory_of_the_memo_is_bounded():
    memo = Memo(len, size=10, longest=4)
    for n in range(100):
        assert memo[str(n)] == len(str(n))
        assert len(memo) <= 10
    assert memo["12345"] == 5
    assert "12345" not in memo


@pytest.mark.parametrize(
    ("pattern", "whole", "not_whole"),
    [
        (rf"[{SOLO}]", "字かーກำས", "aéक한ש9."),
        (LETTER, "aéक한ש", "字か9'_"),
        (OWN_WORDS, ["'tis", "’Twas", "'em", "'n'", "'Cause"], ["tis", "'house", "'s"]),
        (ELIDED, ["l'", "Qu’", "dell'", "c'"], ["l", "a'", "don'"]),
    ],
)
def test_patterns(pattern, whole, not_whole):
    compiled = regex.compile(pattern, regex.VERSION1)
    assert [form for form in whole if not compiled.fullmatch(form)] == []
    assert [form for form in not_whole if compiled.fullmatch(form)] == []
