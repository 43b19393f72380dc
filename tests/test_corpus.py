import doctest
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wordlm import corpus as module
from wordlm.config import TextConfig
from wordlm.corpus import LONG_DOCUMENT, load_corpus, prepare_corpus
from wordlm.errors import TextError, TrainingError
from wordlm.text import Paragraph, Texts
from wordlm.tokenizer import Tokenizer
from wordlm.vocab import EOS, UNK

TOKENIZER = Tokenizer(TextConfig(kind="pretokenized"))


def paragraphs(*lines, document=0):
    return [Paragraph(document, line) for line in lines]


def prepare(folder, train, **options):
    return prepare_corpus(folder, train, TOKENIZER, **options)


def words(corpus, ids):
    return " ".join(corpus.vocabulary.decode(ids.tolist()))


def test_docstrings():
    assert doctest.testmod(module).failed == 0


def test_ids_follow_frequency_and_ties_the_first_appearance(tmp_path):
    corpus = prepare(tmp_path, paragraphs("c b a a", "b a") * 20, valid=paragraphs("a b"))
    assert corpus.vocabulary.tokens == ["<pad>", "<unk>", "<eos>", "a", "b", "c"]
    assert words(corpus, corpus.train[:8]) == "c b a a <eos> b a <eos>"
    assert corpus.counts.tolist() == [0, 0, 40, 60, 40, 20]
    assert corpus.train.dtype == np.uint16


def test_the_vocabulary_is_of_the_training_part_alone(tmp_path):
    corpus = prepare(
        tmp_path,
        paragraphs("a b <unk> <pad>") * 20,
        valid=paragraphs("a new b"),
        test=paragraphs("newer"),
    )
    assert words(corpus, corpus.valid) == "a <unk> b <eos>"
    assert words(corpus, corpus.test) == "<unk> <eos>"
    assert "new" not in corpus.vocabulary
    assert corpus.counts[UNK] == 40  # what is written as <pad> is unknown too


def test_held_out_words_are_not_in_the_vocabulary(tmp_path):
    corpus = prepare(tmp_path, [*paragraphs("a b c") * 50, *paragraphs("only here") * 4])
    assert "only" not in corpus.vocabulary
    assert set(corpus.valid.tolist()) <= {UNK, EOS, *corpus.vocabulary.encode(["a", "b", "c"])}


def test_vocab_size_and_min_count(tmp_path):
    train = paragraphs("a a a b b c") * 20
    assert prepare(tmp_path / "1", train, vocab_size=5).vocabulary.tokens[3:] == ["a", "b"]
    assert prepare(tmp_path / "2", train, vocab_size=0).vocabulary.tokens[3:] == ["a", "b", "c"]
    assert prepare(tmp_path / "3", train, min_count=25).vocabulary.tokens[3:] == ["a", "b"]
    with pytest.raises(TextError, match="--min-count 1000"):
        prepare(tmp_path / "4", train, min_count=1000)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.lists(st.integers(0, 1500), min_size=1, max_size=8), min_size=1, max_size=5),
    fraction=st.sampled_from([0.01, 0.05, 0.2, 0.5]),
)
def test_held_out_blocks(tmp_path_factory, lengths, fraction):
    """Nothing is lost, nothing is on both sides, and blocks are contiguous and at the ends."""
    number = iter(range(10**6))
    text, documents = [], []
    for document, sizes in enumerate(lengths):
        text += [Paragraph(document, " ".join(str(next(number)) for _ in range(size))) for size in sizes]
        documents.append(sum(sizes) + len(sizes))
    total = sum(documents)
    if total < module.MIN_TOKENS or total == sum(map(len, lengths)):
        return
    made = {}
    real = module._cuts

    def spy(raw, share):
        made["cuts"], made["ids"] = real(raw, share), raw.read(0, raw.size)
        return made["cuts"]

    module._cuts = spy
    try:
        corpus = prepare(tmp_path_factory.mktemp("c"), text, valid_fraction=fraction, vocab_size=0)
    except TextError:
        return
    finally:
        module._cuts = real
    cuts, ids = made["cuts"], made["ids"]
    assert len(ids) == total
    assert [start for start, _, _ in cuts] == [0, *(end for _, _, end in cuts[:-1])]
    assert cuts[-1][2] == total
    assert len(corpus.train) == sum(middle - start for start, middle, _ in cuts)
    assert len(corpus.valid) == sum(end - middle for _, middle, end in cuts) > 0
    long = total / len(documents) >= LONG_DOCUMENT
    assert len(cuts) == (len(documents) if long else 1)
    for start, middle, end in cuts:
        size = end - start
        if size < LONG_DOCUMENT and len(cuts) > 1:
            assert middle == end
            continue
        assert start < middle < end
        assert abs((end - middle) - size * fraction) <= size / 10 + 2
        near = range(max(start + 1, middle - size // 20), min(end, middle + size // 20))
        if any(ids[p - 1] == EOS for p in near):
            assert ids[middle - 1] == EOS


def test_many_short_documents_are_held_out_whole(tmp_path):
    train = [Paragraph(i, f"w{i} x y") for i in range(1000)]
    corpus = prepare(tmp_path, train, vocab_size=0)
    assert len(corpus.valid) == 200
    assert corpus.valid[0] != EOS
    assert corpus.train[-1] == EOS


def test_too_many_documents_to_keep_their_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_DOCUMENTS", 3)
    for count, blocks in ((3, 3), (4, 1)):
        text = [Paragraph(i, " ".join(["a"] * 2500)) for i in range(count)]
        raw = module._write_raw(tmp_path / "raw", "train", text, TOKENIZER, {}, None)
        assert len(module._cuts(raw, 0.05)) == blocks


def test_none_held_out(tmp_path):
    corpus = prepare(tmp_path, paragraphs("a b c") * 30, valid_fraction=0)
    assert len(corpus.train) == 120
    assert len(corpus.valid) == 0


@pytest.mark.parametrize("chunk", [16, 64, 1 << 20])
def test_chunks_make_no_difference(tmp_path, monkeypatch, chunk):
    train = [Paragraph(i // 40, f"w{i % 7} x{i % 3} y") for i in range(300)]
    whole = prepare(tmp_path / "1", train)
    monkeypatch.setattr(module, "CHUNK", chunk)
    corpus = prepare(tmp_path / "2", train)
    assert np.array_equal(corpus.train, whole.train)
    assert list(corpus.sentences()) == list(whole.sentences()) == list(corpus.sentences())


def test_sentences_are_the_paragraphs_and_blank_ones_are_left_out(tmp_path):
    corpus = prepare(tmp_path, paragraphs("a b", "", "c") * 30, valid=paragraphs("a"))
    assert list(corpus.sentences()) == [["a", "b"], ["c"]] * 30


def test_sentences_of_a_text_that_is_one_paragraph(tmp_path):
    corpus = prepare(tmp_path, paragraphs(" ".join(["a", "b"] * 100)))
    assert [len(sentence) for sentence in corpus.sentences()] == [len(corpus.train)]


def test_texts_that_cannot_be_used(tmp_path):
    with pytest.raises(TextError, match="too small to train on: it has 9 tokens, and at least 100"):
        prepare(tmp_path, paragraphs("a b") * 3)
    for empty in ([], paragraphs("", "")):
        with pytest.raises(TextError, match="training text holds no word"):
            prepare(tmp_path, empty)
        with pytest.raises(TextError, match="validation text holds no word"):
            prepare(tmp_path, paragraphs("a b") * 50, valid=empty)
        with pytest.raises(TextError, match="test text holds no word"):
            prepare(tmp_path, paragraphs("a b") * 50, test=empty)


def test_it_is_read_once_and_progress_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 160)
    told = []
    once = iter(paragraphs("a b c") * 100)  # a second pass would find nothing
    corpus = prepare(tmp_path, once, valid=iter(paragraphs("a")), progress=lambda *what: told.append(what))
    assert len(corpus.train) == 400
    assert [count for part, count in told if part == "train"] == list(range(12, 400, 12))


def test_more_words_than_sixteen_bits(tmp_path):
    corpus = prepare(tmp_path, paragraphs(*(f"w{i} w{i + 1}" for i in range(70_000))), vocab_size=0)
    assert corpus.train.dtype == np.uint32
    assert words(corpus, corpus.train[-3:-1]).startswith("w")
    assert load_corpus(tmp_path).train.max() == len(corpus.vocabulary) - 1


def test_it_loads_again(tmp_path):
    corpus = prepare(tmp_path, paragraphs("a b c d") * 50, test=paragraphs("d c"))
    again = load_corpus(tmp_path)
    for part in ("train", "valid", "test", "counts"):
        assert np.array_equal(getattr(again, part), getattr(corpus, part))
    assert again.vocabulary.tokens == corpus.vocabulary.tokens
    assert isinstance(again.train, np.memmap)
    assert not list(tmp_path.glob("*.raw"))


def _shorten(path):
    path.write_bytes(path.read_bytes()[:-2])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "corpus.json").unlink(),
        lambda folder: (folder / "corpus.json").write_text("[1]"),
        lambda folder: (folder / "corpus.json").write_text("{"),
        lambda folder: (folder / "corpus.json").write_text(json.dumps({"dtype": "nothing", "sizes": {"train": 1}})),
        lambda folder: (folder / "train.ids").unlink(),
        lambda folder: _shorten(folder / "train.ids"),
        lambda folder: _shorten(folder / "valid.ids"),
        lambda folder: np.full(190, 9999, "uint16").tofile(folder / "train.ids"),
        lambda folder: (folder / "vocab.txt").write_text("a\nb\n"),
        lambda folder: _shorten(folder / "vocab.txt"),
        lambda folder: (folder / "vocab.txt").write_bytes(b"\xff\xfe"),
        lambda folder: np.save(folder / "counts.npy", np.zeros(3)),
        lambda folder: (folder / "counts.npy").write_bytes(b""),
    ],
)
def test_a_damaged_corpus_is_one_clear_line(tmp_path, damage):
    corpus = prepare(tmp_path, paragraphs("a b c d") * 40)
    assert len(corpus.train) == 190
    damage(tmp_path)
    with pytest.raises(TrainingError, match=r"^the prepared text in .* is damaged .*train again from the text$"):
        load_corpus(tmp_path)


def test_memory_does_not_grow_with_the_text(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1 << 15)

    def peak(count):
        tracemalloc.start()
        prepare(
            tmp_path / str(count), (Paragraph(i // 100, "the same few words again and again") for i in range(count))
        )
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(20)  # imports
    # 480,000 more tokens take 1.9 MB as they are first written.
    assert peak(80_000) < peak(20_000) + 100_000


@pytest.mark.slow
def test_wikitext_2(tmp_path, shared_data):
    config = TextConfig(kind="pretokenized")
    texts = {part: Texts([shared_data / "wikitext-2" / f"{part}.txt"], config) for part in ("train", "valid", "test")}
    corpus = prepare_corpus(tmp_path, texts["train"], TOKENIZER, valid=texts["valid"], test=texts["test"], vocab_size=0)
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (2_088_628, 217_646, 245_569)
    assert len(corpus.vocabulary) == 33_279
    assert corpus.counts.sum() == 2_088_628
    assert (np.diff(corpus.counts[3:]) <= 0).all()
