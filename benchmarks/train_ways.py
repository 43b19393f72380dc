"""The ways to learn that `train_speed.py` compares: each runs in a process of its own, which this file is.

    python benchmarks/train_ways.py SPEC SECONDS

SPEC is JSON: "what" is lstm, preset, product or prepare; "way" is wordlm, keras or torch; the rest are sizes or places.
After a line that says what it does in a step, it learns for about so many seconds at each line of input, and answers
with the words a second.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wordlm.config import ModelConfig, configure
from wordlm.model import build_model, load_keras
from wordlm.planning import flops_per_token

LAYERS, STEPS = 2, 35  # of the LSTM alone
SIDE = 2048  # of the matrices of the product

# A way to learn: takes so many steps. And what is to be known of it: the words of a step, and more.
Way = tuple[Callable[[int], object], dict[str, float]]


def main() -> None:
    spec, seconds = json.loads(sys.argv[1]), float(sys.argv[2])
    if spec["what"] == "prepare":
        prepare(spec)
        return
    if spec["way"] in ("wordlm", "keras"):
        load_keras()
    steps, facts = MAKERS[spec["what"], spec["way"]](spec)
    steps(2)  # compiles
    began = time.perf_counter()
    steps(2)
    count = max(2, round(2 * seconds / (time.perf_counter() - began)))
    steps(count)
    print(json.dumps(facts), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        steps(count)
        print(count * facts["words"] / (time.perf_counter() - began), flush=True)


def product(spec: dict[str, Any]) -> Way:
    """No way to learn, but the fastest that a processor does anything: its words are operations."""
    matrix = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype("float32")
    out = np.empty_like(matrix)
    return lambda count: [np.matmul(matrix, matrix, out=out) for _ in range(count)], {"words": 2 * SIDE**3}


def lstm_wordlm(spec: dict[str, Any]) -> Way:
    import tensorflow as tf

    from wordlm.fast_tensorflow import lstm, spread_over_cores

    units, parts = spec["units"], spread_over_cores(spec["batch"])
    shapes = [(units, 4 * units), (units, 4 * units), (4 * units,)]
    layers = [[tf.Variable(tf.random.normal(shape, stddev=0.05)) for shape in shapes] for _ in range(LAYERS)]
    zeros = tf.zeros((spec["batch"] // parts, units))

    def forward(x: Any) -> Any:
        outputs = []
        for part in tf.split(x, parts):
            for weights in layers:
                part, *_ = lstm(part, zeros, zeros, *weights)
            outputs.append(part)
        return tf.concat(outputs, axis=0)

    return lstm_tensorflow(spec, forward, [weight for weights in layers for weight in weights])


def lstm_keras(spec: dict[str, Any]) -> Way:
    import keras

    layers = [keras.layers.LSTM(spec["units"], return_sequences=True) for _ in range(LAYERS)]
    network = keras.Sequential([keras.Input((STEPS, spec["units"]), batch_size=spec["batch"]), *layers])
    return lstm_tensorflow(spec, network, [variable.value for variable in network.trainable_variables])


def lstm_tensorflow(spec: dict[str, Any], forward: Callable[[Any], Any], weights: list[Any]) -> Way:
    import tensorflow as tf

    x = tf.Variable(tf.random.normal((spec["batch"], STEPS, spec["units"])))

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(forward(x))
        return tape.gradient(total, [x, *weights])

    return lambda count: [step()[0].numpy() for _ in range(count)], lstm_facts(spec)


def lstm_torch(spec: dict[str, Any]) -> Way:
    torch = import_torch()
    network = torch.nn.LSTM(spec["units"], spec["units"], LAYERS)
    x = torch.randn(STEPS, spec["batch"], spec["units"], requires_grad=True)

    def steps(count: int) -> None:
        for _ in range(count):
            network.zero_grad()
            x.grad = None
            network(x)[0].sum().backward()

    return steps, lstm_facts(spec)


def lstm_facts(spec: dict[str, Any]) -> dict[str, float]:
    units = spec["units"]
    return {"words": spec["batch"] * STEPS, "work": 3 * LAYERS * 2 * 4 * units * 2 * units}


def prepare(spec: dict[str, Any]) -> None:
    """Writes the ids, and the vectors of the words, as a training with the preset has them."""
    from wordlm.preparation import find_texts, find_vectors, read_corpus
    from wordlm.progress import Display

    options, folder, quiet = options_of(spec), Path(spec["folder"]), Display(quiet=True)
    texts = {"train": find_texts(Path(spec["data"]) / "train.txt", options)}
    corpus = read_corpus(folder, texts, options, quiet, valid_fraction=0)
    if vectors := find_vectors(corpus, options, quiet):
        np.save(folder / "vectors.npy", vectors.matrix)


def options_of(spec: dict[str, Any]) -> Any:
    return configure(spec["preset"], kind="pretokenized", vocab_size=0)


def network_of(spec: dict[str, Any]) -> tuple[Any, ModelConfig, Any, Any]:
    """The options of the preset, its network's config, the vectors or None, and the corpus."""
    from wordlm.corpus import load_corpus

    options, corpus, path = options_of(spec), load_corpus(spec["folder"]), Path(spec["folder"]) / "vectors.npy"
    matrix = np.load(path) if path.exists() else None
    config = options.model.replace(
        vocab_size=len(corpus.vocabulary),
        embedding_dim=options.model.trained_dim + (options.data.embedding_dim if matrix is None else matrix.shape[1]),
        trainable_embedding=matrix is None,
    )
    return options, config, matrix, corpus


def batches_of(options: Any, corpus: Any) -> Any:
    from wordlm.batches import StreamBatches, WindowBatches

    if options.model.context:
        return WindowBatches(corpus.train, options.train.batch_size, options.model.context)
    return StreamBatches(corpus.train, options.train.batch_size, options.train.sequence_length)


def preset_wordlm(spec: dict[str, Any]) -> Way:
    from wordlm.batches import fitting_batch_size
    from wordlm.learner import spread_over_cores
    from wordlm.progress import Display
    from wordlm.training import Training

    options, config, matrix, corpus = network_of(spec)
    spread_over_cores(fitting_batch_size(len(corpus.train), config, options.train))  # before the network is built
    training = Training(
        build_model(config, matrix), config, options.train, corpus, Path(spec["folder"]) / "checkpoint", {},
        Display(quiet=True), lambda network: "", time.monotonic(),
    )  # fmt: skip
    position = training.position

    def steps(count: int) -> None:
        end = position.steps_done + count
        while position.steps_done < end:
            if position.step == position.steps:
                position.epoch, position.step = position.epoch + 1, 0
            training._step()

    sampler = training.learner.sampler
    sampled = config.vocab_size if sampler is None else sampler.size + 1
    facts = {"work": flops_per_token(config, sampled), "whole": flops_per_token(config, config.vocab_size)}
    return steps, facts | {"words": training.batches.batch(0, 0)[1].size}


def preset_keras(spec: dict[str, Any]) -> Way:
    import keras

    options, config, matrix, corpus = network_of(spec)
    network, batches = build_model(config, matrix), batches_of(options, corpus)
    network.compile(
        optimizer=keras.optimizers.Adam(options.train.learning_rate, global_clipnorm=options.train.clip_norm or None),
        loss="sparse_categorical_crossentropy",
    )
    arrays: dict[int, list[np.ndarray]] = {}  # made before the clock runs

    def steps(count: int) -> None:
        if count not in arrays:
            some = [batches.batch(0, number % batches.steps) for number in range(count)]
            arrays[count] = [np.concatenate(parts) for parts in zip(*some, strict=True)]
        x, y, weight = arrays[count]
        network.fit(x, y, sample_weight=weight, batch_size=options.train.batch_size, shuffle=False, verbose=0)

    return steps, {"words": batches.batch(0, 0)[1].size}


def preset_torch(spec: dict[str, Any]) -> Way:
    torch = import_torch()
    options, config, matrix, corpus = network_of(spec)
    batches = batches_of(options, corpus)
    if matrix is None:
        embedding = torch.nn.Embedding(config.vocab_size, config.embedding_dim)
    else:
        # All of it frozen, what is trained in wordlm too: a gain for PyTorch, as it is for Keras.
        trained = np.zeros((len(matrix), config.trained_dim), np.float32)
        embedding = torch.nn.Embedding.from_pretrained(torch.from_numpy(np.concatenate([matrix, trained], axis=1)))
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[config.cell]
    recurrent = kind(
        config.embedding_dim, config.units, config.layers, batch_first=True, bidirectional=config.bidirectional,
        dropout=config.input_dropout if config.layers > 1 else 0.0,
    )  # fmt: skip
    width = config.units * (2 if config.bidirectional else 1)
    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "linear": torch.nn.Identity}[config.activation]()
    dense = [torch.nn.Linear(width, config.dense), activation] if config.dense else []
    head = torch.nn.Sequential(
        *dense, torch.nn.Dropout(config.dropout), torch.nn.Linear(config.dense or width, config.vocab_size)
    )
    parts = torch.nn.ModuleList([embedding, torch.nn.Dropout(config.input_dropout), recurrent, head])
    learned = [parameter for parameter in parts.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, options.train.learning_rate)
    number, state = 0, None

    def step() -> None:
        nonlocal number, state
        x, y, _ = batches.batch(0, number % batches.steps)
        number += 1
        optimizer.zero_grad()
        hidden, after = recurrent(parts[1](embedding(torch.from_numpy(x))), state)
        if config.context:
            hidden = hidden[:, -1]
        else:
            state = tuple(part.detach() for part in after) if config.cell == "lstm" else after.detach()
        loss = torch.nn.functional.cross_entropy(head(hidden).flatten(0, -2), torch.from_numpy(y).flatten().long())
        loss.backward()
        if options.train.clip_norm:
            torch.nn.utils.clip_grad_norm_(learned, options.train.clip_norm)
        optimizer.step()
        loss.item()

    return lambda count: [step() for _ in range(count)], {"words": batches.batch(0, 0)[1].size}


MAKERS: dict[tuple[str, str], Callable[[dict[str, Any]], Way]] = {
    ("product", "numpy"): product,
    ("lstm", "wordlm"): lstm_wordlm, ("lstm", "keras"): lstm_keras, ("lstm", "torch"): lstm_torch,
    ("preset", "wordlm"): preset_wordlm, ("preset", "keras"): preset_keras, ("preset", "torch"): preset_torch,
}  # fmt: skip


def import_torch() -> Any:
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))))
    return torch


if __name__ == "__main__":
    main()
