"""Generated text: the drawing rule in plain Python, on three engines, beside the runtime."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from drawing_rule import Step, draw_text, split_mix
from hello_export.graph.onnx_graph import build_model
from hello_export.graph.program_file import load_program
from hello_export.graph.torchscript import save_program
from hello_runtime import (
    DecodeColumn,
    Decoder,
    ModelFileError,
    TaskError,
    UnknownCharacterError,
    generation,
)
from hello_runtime.drawing import draw, sample_seeds, uniforms
from hello_train.fit.task_evaluation import generate
from helpers import TRAINING, Run, assert_one_line_error, make_network
from onnx.reference import ReferenceEvaluator

LIVELY = 4
"""What the weights are multiplied by, so that the next character depends on those before."""


class Model:
    """A model of the task `next` on three engines."""

    def __init__(self, folder: Path, cell: str = "lstm") -> None:
        network = make_network(cell, task="next", hidden_size=16)
        with torch.no_grad():
            for weight in network.parameters():
                weight.mul_(LIVELY)
        onnx.save(build_model(network, TRAINING), folder / "model.onnx")
        save_program(network, folder / "model.pt")
        self.network, self.folder = network, folder
        self.alphabet = network.config.input_alphabet
        self.decoder = Decoder.open(folder)
        self.zeros = np.zeros((network.config.slots, 1, 16), np.float32)

    def engines(self) -> dict[str, Step]:
        session = onnxruntime.InferenceSession(
            self.folder / "model.onnx", providers=["CPUExecutionProvider"]
        )
        program = load_program(self.folder / "model.pt")
        evaluator = ReferenceEvaluator(str(self.folder / "model.onnx"))

        def run_program(feeds: dict[str, Any]) -> Any:
            return [
                result.detach().numpy()
                for result in program(*map(torch.from_numpy, feeds.values()))
            ]

        runs = {
            "onnxruntime": lambda feeds: session.run(["logits", "state_out"], feeds),
            "TorchScript": run_program,
            "onnx evaluator": lambda feeds: evaluator.run(["logits", "state_out"], feeds),
        }
        return {name: stepping(run) for name, run in runs.items()}


def stepping(run: Callable[[dict[str, Any]], Any]) -> Step:
    def step(codepoint: int, state: Any) -> tuple[list[float], Any]:
        feeds = {"codepoints": np.array([[codepoint]], np.int32), "state": state}
        logits, after = run(feeds)
        return logits[0, 0].astype(np.float64).tolist(), after

    return step


@pytest.fixture(scope="module", params=["gru", "lstm"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(tmp_path_factory.mktemp(request.param), request.param)


WAYS: list[dict[str, Any]] = [
    {"seed": 1},
    {"seed": 1, "temperature": 0.5},
    {"seed": 2**64 - 1, "temperature": 3.0, "top": 3},
    {"seed": 7, "temperature": 0.0},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_same_seed_draws_the_same_text_on_three_engines(
    way: dict[str, Any], model: Model
) -> None:
    found = "".join(model.decoder.generate("ab", 150, **way))
    assert len(found) == 150
    for name, step in model.engines().items():
        expected = draw_text(step, model.zeros, model.alphabet, "ab", 150, **way)
        assert found == expected, name
    assert len(set(found)) > 2 or way["temperature"] == 0


def test_training_draws_by_the_same_rule(model: Model) -> None:
    model.network.eval()
    step = model.engines()["onnxruntime"]
    assert generate(model.network, 100, 5, samples=3)[0] == draw_text(
        step, model.zeros, model.alphabet, "\n", 100, seed=5
    )


def test_numbers_are_those_of_split_mix() -> None:
    assert split_mix(0, 1) == [0xE220A8397B1DCDAF]  # of the authors' own program
    for seed in (0, 1, 12345, 2**64 - 1):
        expected = [(number >> 11) / 2**53 for number in split_mix(seed, 150)]
        seeds = np.array([seed], np.uint64)
        assert [float(number[0]) for number in islice(uniforms(seeds), 150)] == expected
    assert sample_seeds(2**64 - 1, 3).tolist() == [2**64 - 1, 0, 1]


def test_draws_follow_their_probabilities() -> None:
    logits = np.log(np.array([[0.5, 0.1, 0.4]]))
    labels = [
        int(draw(logits, number, 1.0, None)[0])
        for number in islice(uniforms(sample_seeds(0, 1)), 4000)
    ]
    shares = np.bincount(labels, minlength=3) / 4000
    assert np.abs(shares - [0.5, 0.1, 0.4]).max() < 0.03
    for u in (0.0, np.nextafter(1.0, 0.0)):
        only = np.array([[-800.0, 0.0, -800.0]])
        assert draw(only, np.array([u]), 1.0, None).tolist() == [1]
    equal = np.zeros((1, 4))
    assert draw(equal, np.array([0.99]), 1.0, 2).tolist() == [1]
    assert draw(equal, np.array([0.99]), 0, None).tolist() == [0]


def test_samples_side_by_side_are_those_one_by_one(model: Model) -> None:
    prompts = ["a", "", "ab" * 40, "a"]
    together = model.decoder.generate_batch(prompts, 60, temperature=0.8, seed=9)
    alone = [
        "".join(model.decoder.generate(prompt, 60, temperature=0.8, seed=9 + number))
        for number, prompt in enumerate(prompts)
    ]
    assert together == alone
    assert together[0] != together[3]
    assert model.decoder.generate_batch([], 5) == []
    assert model.decoder.generate_batch(["a", "b"], 0) == ["", ""]


def test_samples_share_engine_calls(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    run = model.decoder._run

    def counted(outputs: list[str], codepoints: Any, second: Any) -> list[Any]:
        calls.append(codepoints.shape)
        return run(outputs, codepoints, second)

    monkeypatch.setattr(model.decoder, "_run", counted)
    model.decoder.generate_batch(["ab"] * 32, 10, seed=0)
    assert calls == [(1, 2), *[(32, 1)] * 9]


def test_without_a_seed_texts_differ(model: Model) -> None:
    found = {"".join(model.decoder.generate("a", 60)) for _ in range(4)}
    assert len(found) > 1


# Faults that the runtime could have: the comparison with the rule finds each.


def forget_state(patch: pytest.MonkeyPatch) -> None:
    run = Decoder._run

    def forgetful(self: Decoder, outputs: Any, codepoints: Any, state: Any) -> Any:
        return run(self, outputs, codepoints, np.zeros_like(state))

    patch.setattr(Decoder, "_run", forgetful)


def ignore_seed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(generation, "sample_seeds", lambda _, count: sample_seeds(0, count))


def heat_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(generation, "draw", lambda x, u, heat, top: draw(x / heat, u, heat, top))


def same_number_each_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(generation, "uniforms", lambda seeds: repeat(next(uniforms(seeds))))


def ignore_top(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(generation, "draw", lambda x, u, heat, _: draw(x, u, heat, None))


@pytest.mark.parametrize(
    "fault", [forget_state, ignore_seed, heat_twice, same_number_each_time, ignore_top]
)
def test_a_planted_fault_is_found(
    fault: Callable[[pytest.MonkeyPatch], None], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    way: dict[str, Any] = {"seed": 3, "temperature": 2.0, "top": 4}
    step = model.engines()["onnxruntime"]
    expected = draw_text(step, model.zeros, model.alphabet, "ab", 150, **way)
    assert "".join(model.decoder.generate("ab", 150, **way)) == expected
    fault(monkeypatch)
    assert "".join(model.decoder.generate("ab", 150, **way)) != expected


# What bad input gets.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"characters": -1}, "characters is -1"),
        ({"temperature": -0.1}, "temperature is -0.1; it must be 0, for the most probable"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top": 0}, "top is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "it must be from 0 to"),
    ],
)
def test_wrong_arguments_are_errors_at_once(
    arguments: dict[str, Any], message: str, model: Model
) -> None:
    with pytest.raises(ValueError, match=message):
        model.decoder.generate("a", **arguments)
    with pytest.raises(ValueError, match=message):
        model.decoder.generate_batch(["a"], **arguments)


def test_a_prompt_that_the_model_refuses(tmp_path: Path) -> None:
    network = make_network(task="next", unknown="error")
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    with pytest.raises(UnknownCharacterError, match=r"'q'.*character 2 of the text"):
        Decoder.open(tmp_path).generate("aq")
    assert len("".join(Decoder.open(tmp_path, unknown="label").generate("aq", 5))) == 5


def test_no_prompt_where_the_model_reads_no_line_feed(run: Run, tmp_path: Path) -> None:
    onnx.save(build_model(make_network(task="next", unknown="error"), TRAINING), tmp_path / "m")
    result = run("hello-infer", "--model", tmp_path / "m", "--generate", 5)
    assert_one_line_error(result, "without a prompt a text begins behind a line feed, which the")
    assert run("hello-infer", "--model", "m", "--generate", 5, "--prompt", "a").returncode == 0
    assert len(Decoder.open(tmp_path / "m", unknown="label").generate_batch([""], 5)[0]) == 5


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_no_numbers_draw_nothing(value: float, tmp_path: Path) -> None:
    network = make_network(task="next")
    with torch.no_grad():
        network.get_parameter("projection.bias")[1] = value
    onnx.save(build_model(network, TRAINING), tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match=r"model\.onnx: its logits are NaN or infinite"):
        next(Decoder.open(tmp_path).generate("ab", 1))


def test_a_model_does_its_own_task_only(model: Model, tmp_path: Path) -> None:
    decoder = model.decoder
    for use in (decoder.decode, decoder.classify, lambda text: decoder.decode_batch([text])):
        with pytest.raises(TaskError, match="its task is next, so it generates text"):
            use("ab")
    for other in (lambda: decoder.annotate_batch(["a"]), decoder.stream):
        with pytest.raises(TaskError, match="needs a model of the task rewrite"):
            other()
    with pytest.raises(TaskError, match="needs a model of the task next"):
        Decoder.open().generate_batch([])
    with pytest.raises(TaskError, match=r"its task is rewrite.*needs a model of the task next"):
        Decoder.open().generate("hello")
    with pytest.raises(TaskError, match="needs a model of the task rewrite or classify"):
        DecodeColumn(model.folder)
    with pytest.raises(TaskError, match="needs a model of the task classify"):
        DecodeColumn(task="classify")


# The command.


def infer(run: Run, model: Model, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run("hello-infer", "--model", model.folder, *arguments)


def test_the_command_prints_the_prompt_and_what_is_drawn(run: Run, model: Model) -> None:
    drawing = ["--temperature", 0.7, "--top", 4, "--seed", 3]
    result = infer(run, model, "--generate", 40, "--prompt", "ab", *drawing)
    expected = model.decoder.generate("ab", 40, temperature=0.7, top=4, seed=3)
    assert (result.returncode, result.stdout) == (0, f"ab{''.join(expected)}\n")


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--generate", 5, "--temperature", -1], "", 2),
        (["--generate", 5, "--temperature", "inf"], "", 2),
        (["--generate", 5, "--temperature", "nan"], "", 2),
        (["--generate", 5, "--top", 0], "", 2),
        (["--generate", 0], "", 2),
        (["--seed", 5, "ab"], "", 2),
        (["--prompt", "a"], "", 2),
        (["--generate", 5, "ab"], "", 2),
        (["ab"], "its task is next, so it generates text, with --generate", 1),
        (["--json", "ab"], "its task is next", 1),
        (["--stream"], "its task is next", 1),
    ],
)
def test_what_the_command_refuses(
    arguments: list[object], message: str, code: int, run: Run, model: Model
) -> None:
    result = infer(run, model, *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    if code == 1:
        assert_one_line_error(result, message)
    else:
        assert "Error: " in result.stderr


def test_the_score_of_a_text_is_bits_per_character(run: Run, model: Model, tmp_path: Path) -> None:
    text = "abab\n\nżab?a" * 300
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    result = infer(run, model, "--score", "text.txt", "--json")
    step, passage = model.engines()["onnxruntime"], 1024
    bits = count = 0.0
    for start in range(0, len(text), passage):
        state, before = model.zeros, text[start - 1] if start else "\n"
        for char in text[start : start + passage]:
            logits, state = step(ord(before), state)
            if char in model.alphabet:
                total = math.log(sum(map(math.exp, logits)))
                bits += (total - logits[model.alphabet.index(char)]) / math.log(2)
                count += 1
            before = char
    found = json.loads(result.stdout)["model"]
    assert found["character_count"] == count
    assert found["bits"] == pytest.approx(bits / count, rel=1e-5)
    assert "bits per character" in infer(run, model, "--score", "text.txt").stdout
