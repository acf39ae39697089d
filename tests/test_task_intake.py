"""Networks from outside of the tasks `next` and `classify`, by a file of weights and as modules."""

from __future__ import annotations

import json
from pathlib import Path

import hello_export
import numpy as np
import pytest
import torch
from hello_export import ForwardError, IntakeError
from hello_export.intake import network as intake_network
from hello_export.intake.alphabets import read_entries
from hello_export.intake.network import build_network
from hello_export.intake.recognise import recognise
from hello_runtime import Decoder
from helpers import Export
from torch import Tensor, nn

ALPHABET = "abcde"
CLASSES = ["Polish", "Greek", "two words"]
CLASSES_OF = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Names(nn.Module):
    """The class of a line from the last hidden state, as tutorials write it."""

    def __init__(self, cell: str = "gru", *, both: bool = False, end: str = "state") -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), 6)
        self.rnn = CLASSES_OF[cell](6, 5, batch_first=True, bidirectional=both)
        self.out = nn.Linear(10 if both else 5, len(CLASSES))
        self.both, self.end = both, end

    def forward(self, ids: Tensor) -> Tensor:
        steps, state = self.rnn(self.embedding(ids))
        hidden = state[0] if isinstance(state, tuple) else state
        ends = torch.cat([*hidden], -1)
        if self.end == "last step":
            ends = steps[:, -1]
        logits: Tensor = self.out(ends)
        return logits.log_softmax(-1) if self.end == "log-softmax" else logits


class Language(nn.Module):
    """The next character after each one."""

    def __init__(self, *, log: bool = False, entries: int = len(ALPHABET)) -> None:
        super().__init__()
        self.embedding = nn.Embedding(entries, 6)
        self.rnn = nn.LSTM(6, 7, num_layers=2, batch_first=True)
        self.out = nn.Linear(7, entries)
        self.log = log

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.out(self.rnn(self.embedding(ids))[0])
        return logits.log_softmax(-1) if self.log else logits


def made(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.7)
    return module.eval()


def said(module: nn.Module, text: str) -> Tensor:
    with torch.no_grad():
        found: Tensor = module(torch.tensor([[ALPHABET.index(char) for char in text]]))
    return found


@pytest.mark.usefixtures("short_proof")
@pytest.mark.parametrize("cell", CLASSES_OF)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("end", ["state", "log-softmax"])
def test_a_classifier_is_exported_by_its_own_forward(
    cell: str, both: bool, end: str, tmp_path: Path
) -> None:
    module = made(Names(cell, both=both, end=end))
    hello_export.export(
        module, tmp_path / "a", alphabet=ALPHABET, labels=CLASSES, task="classify", quiet=True
    )
    decoder = Decoder.open(tmp_path / "a")
    assert decoder.info.classes == tuple(CLASSES)
    for text in ("a", "abcde", "edcba" * 9):
        expected = said(module, text)[0].softmax(-1).numpy()
        found = decoder.classify(text)
        assert found.label == CLASSES[int(expected.argmax())]
        assert np.allclose(found.probabilities, expected, atol=1e-5)


def test_the_last_step_of_two_directions_is_another_network(tmp_path: Path) -> None:
    """The backward half of the last step has read one character only: a common mistake."""
    module = made(Names(both=True, end="last step"))
    with pytest.raises(ForwardError, match=r"the logits differ by up to .* row 1, character 2"):
        hello_export.export(
            module, tmp_path / "a", alphabet=ALPHABET, labels=CLASSES, task="classify", quiet=True
        )
    assert not (tmp_path / "a").exists()


@pytest.mark.usefixtures("short_proof")
@pytest.mark.parametrize("log", [False, True])
def test_a_language_model_is_exported_by_its_own_forward(log: bool, tmp_path: Path) -> None:
    module = made(Language(log=log))
    hello_export.export(module, tmp_path / "a", alphabet=ALPHABET, task="next", quiet=True)
    text = "abc"
    for char in Decoder.open(tmp_path / "a").generate("abc", 30, temperature=0):
        assert char == ALPHABET[int(said(module, text)[0, -1].argmax())]
        text += char


RESERVED = ["<pad>", "a", "b", "<unk>", "c", "<bos>", "d", "e"]
"""An alphabet as people have it; with one row more, its last row is for unknown characters too."""


def with_reserved(**how: bool) -> Language:
    """Return a language model of this alphabet that would draw its reserved entries."""
    module = made(Language(entries=len(RESERVED), **how))
    assert isinstance(module, Language)
    with torch.no_grad():
        module.out.bias[[0, 3, 5]] = 9.0
    return module


def shares(module: nn.Module, text: str) -> list[float]:
    """Return what a module says of the next character, without the reserved entries."""
    with torch.no_grad():
        logits = module(torch.tensor([[RESERVED.index(char) for char in text]]))[0, -1]
    found: list[float] = logits[[RESERVED.index(char) for char in ALPHABET]].softmax(-1).tolist()
    return found


@pytest.mark.usefixtures("short_proof")
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("token", [None, "<unk>"])
def test_a_reserved_entry_is_never_drawn(log: bool, token: str | None, tmp_path: Path) -> None:
    module = with_reserved(log=log)
    hello_export.export(
        module, tmp_path / "a", alphabet=RESERVED, task="next", unknown_token=token, quiet=True
    )
    decoder = Decoder.open(tmp_path / "a")
    assert decoder.info.input_alphabet == ALPHABET
    drawn = "".join(decoder.generate("abc", 200, seed=1))
    assert set(drawn) == set(ALPHABET)
    assert max(shares(module, "abc")) < 0.99
    for number in range(50):
        expected = shares(module, "abc" + drawn[:number])
        (found,) = decoder.generate("abc" + drawn[:number], 1, temperature=0)
        assert found == ALPHABET[int(np.argmax(expected))]


@pytest.mark.parametrize("extra", [False, True], ids=["named", "last row"])
def test_a_file_of_weights_never_draws_a_reserved_entry(
    extra: bool, export: Export, tmp_path: Path
) -> None:
    entries = RESERVED if extra else [*RESERVED, "<last>"]
    module = made(Language(entries=9))
    torch.save(module.state_dict(), tmp_path / "net.pt")
    (tmp_path / "alphabet.json").write_text(json.dumps(entries))
    result = export("net.pt", "--alphabet", "alphabet.json", "--task", "next")
    assert result.exit_code == 0, result.output
    assert "logits of other entries, which it never draws: 4" in result.output
    assert "--generate 200 --prompt a\n" in result.output  # it reads no line feed
    decoder = Decoder.open(tmp_path / "net")
    assert decoder.info.unknown == ("label" if extra else "error")
    text = "abc"
    for char in decoder.generate("abc", 30, temperature=0):
        assert char == ALPHABET[int(np.argmax(shares(module, text)))]
        text += char


def test_reserved_entries_of_a_network_without_a_linear_layer() -> None:
    module = nn.ModuleDict({"emb": nn.Embedding(8, 6), "gru": nn.GRU(6, 8, batch_first=True)})
    network = build_network(recognise(module.state_dict()), read_entries(RESERVED), task="next")
    ids = torch.randint(5, (2, 7))
    own = torch.tensor([RESERVED.index(char) for char in ALPHABET])
    wanted = module["gru"](module["emb"](own[ids]))[0][..., own]
    assert torch.allclose(network(ids), wanted)


def test_another_logit_in_place_of_a_character_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A planted fault: the logit of `<pad>` stands for the first character."""
    monkeypatch.setattr(intake_network, "drawn_logits", lambda *_: [0, 2, 4, 6, 7])
    with pytest.raises(ForwardError, match="the logits differ by up to"):
        hello_export.export(
            with_reserved(), tmp_path / "a", alphabet=RESERVED, task="next", quiet=True
        )


def test_logits_of_another_shape_are_named(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match=r"not logits \[2, labels\], \[batch, labels\]"):
        hello_export.export(
            made(Language()), tmp_path / "a", alphabet=ALPHABET, labels=[*"vwxyz"], task="classify"
        )


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (Names(), ["--task", "classify"], "a classifier has classes: name them with --labels"),
        (Names(), ["--task", "next"], "gives 3 logits, and the labels are the alphabet"),
        (Names(), ["--task", "next", "--labels", "abc"], "must stand for the characters of the"),
        (Names(both=True), ["--task", "next", "--labels", "abc"], "must stand for the characters"),
    ],
)
def test_weights_that_are_of_no_such_task(
    module: nn.Module, options: list[str], message: str, export: Export, tmp_path: Path
) -> None:
    torch.save(module.state_dict(), tmp_path / "net.pt")
    result = export("net.pt", "--alphabet", ALPHABET, *options)
    assert result.exit_code == 1
    assert message in result.output


def test_next_with_two_directions_is_refused(export: Export, tmp_path: Path) -> None:
    module = nn.ModuleDict(
        {
            "embedding": nn.Embedding(5, 6),
            "rnn": nn.GRU(6, 5, bidirectional=True),
            "out": nn.Linear(10, 5),
        }
    )
    torch.save(module.state_dict(), tmp_path / "net.pt")
    result = export("net.pt", "--alphabet", ALPHABET, "--task", "next")
    assert result.exit_code == 1
    assert "two directions: it would see what it shall guess" in result.output


def test_weights_of_a_classifier(export: Export, tmp_path: Path) -> None:
    module = made(Names(both=True))
    torch.save(module.state_dict(), tmp_path / "names.pt")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    result = export(
        "names.pt", "--alphabet", ALPHABET, "--labels", "classes.txt", "--task", "classify"
    )
    assert result.exit_code == 0, result.output
    assert "classes: Polish, Greek, two words" in result.output
    found = Decoder.open(tmp_path / "names").classify("abcde")
    assert np.allclose(found.probabilities, said(module, "abcde")[0].softmax(-1), atol=1e-5)
