"""What is made ready for a generation: an engine with a cache, an index of what is not to be copied."""

import pytest

import wordlm
from wordlm.errors import OptionError, TextError


@pytest.fixture
def lm(trained):
    return wordlm.load(trained)


def test_texts_to_differ_from(lm, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Then he took a lamp.")
    options = {"max_copy": 2, "start_with": "Then he", "seed": 1}
    expected = lm.generate(against=text, **options)
    assert expected.startswith("Then he ")
    assert not expected.startswith("Then he took")
    index = lm.copy_index(text, 2)
    for against in (str(text), [text], (str(text),), index):
        assert lm.generate(against=against, **options) == expected
        assert "".join(lm.stream(against=against, **options)) == expected
        (found,) = lm.generate_many(n=1, against=against, **options)
        assert (found.text, found.longest_copy) == (expected, 2)
    assert next(lm.generate_many(seed=1)).longest_copy is None
    # The index knows how many words it looks at.
    assert lm.generate(against=index, start_with="Then he", seed=1) == expected
    with pytest.raises(OptionError, match="`max_copy` must be the index's, which is 2, but is 3; leave it out"):
        lm.generate(against=index, max_copy=3)


def test_nothing_to_differ_from(lm):
    with pytest.raises(TextError, match="no text was given"):
        lm.generate(against=[])


def test_how_the_texts_to_differ_from_are_read(lm, tmp_path):
    (tmp_path / "rows.csv").write_text('number,line\n1,"THEN Then he took a lamp."\n')
    # They are cased as the model's own words are, whatever is said.
    index = lm.copy_index(tmp_path / "rows.csv", 9, field="line", lowercase=True)
    tracker = index.start()
    for id in lm.read_prompt("Then he took").ids:
        tracker.add(id)
    assert tracker.longest == 3


def test_a_cache_is_for_one_call(lm):
    plain = lm.generate("I don't", max_words=50, min_words=50, seed=1)
    options = {"max_words": 50, "min_words": 50, "seed": 1, "cache": 30, "cache_theta": 2.0, "cache_lambda": 0.8}
    assert lm.generate("I don't", **options) != plain
    assert lm.generate("I don't", max_words=50, min_words=50, seed=1) == plain
