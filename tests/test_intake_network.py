"""Alphabets, labels, and the network of ours that is made of recognised parts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hello_export.errors import IntakeError
from hello_export.intake.account import row_lines
from hello_export.intake.alphabets import Given, GivenLabels, read_entries, read_labels
from hello_export.intake.network import build_network, find_rows
from hello_export.intake.recognise import Choices, Parts, recognise
from torch import nn


@pytest.mark.parametrize(
    ("name", "content", "values"),
    [
        ("a.txt", "e\nh\nl\no\n", ("e", "h", "l", "o")),
        ("a.txt", "<pad>\r\na\r\n \r\nb", ("<pad>", "a", " ", "b")),
        ("a.txt", "\ufeffa\n\nb\n", ("a", "", "b")),
        ("A.TXT", "a\u2028\n\x85\n", ("a\u2028", "\x85")),
        ("a.json", '["<pad>", "a", "\\n", "\\ud83d\\ude00"]', ("<pad>", "a", "\n", "😀")),
        ("a.json", '\ufeff{"b": 1, "<pad>": 0, "a": 2}', ("<pad>", "b", "a")),
        ("a.json", '{"a": 1, "b": 3}', (None, "a", None, "b")),
        ("a.json", '{"1": "0", "0": "<pad>", "3": "b"}', ("<pad>", "0", None, "b")),
    ],
)
def test_entries_of_a_file(
    tmp_path: Path, name: str, content: str, values: tuple[str | None, ...]
) -> None:
    (tmp_path / name).write_bytes(content.encode())
    for given in (tmp_path / name, str(tmp_path / name)):
        found = read_entries(given)
        assert found.values == values
        assert found.source == str(tmp_path / name)


@pytest.mark.parametrize(
    "given",
    ["ehlo", ["e", "h", "l", "o"], {"o": 3, "e": 0, "h": 1, "l": 2}, dict(enumerate("ehlo"))],
)
def test_entries_that_are_given_as_they_are(given: Given) -> None:
    found = read_entries(given)
    assert found.characters == {"e": 0, "h": 1, "l": 2, "o": 3}
    assert found.reserved == {}


def test_the_reserved_entries_keep_their_ids() -> None:
    found = read_entries({"<pad>": 0, "a": 1, "e\u0301": 3, "b": 4})
    assert found.characters == {"a": 1, "b": 4}
    assert found.reserved == {0: "<pad>", 2: None, 3: "e\u0301"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"a\nb\na\nb\n", "'a' has the ids 0 and 2; an entry has one; 'b' has the ids 1"),
        ("a.json", b'[["x", null], ["x", null]]', '["x", null] has the ids 0 and 1'),
        ("a.txt", b"a\n\xff\n", "a.txt, line 2: byte 1 (0xff) is not UTF-8"),
        ("a.txt", b"", "it has no entries"),
        ("a.json", b"[]", "it has no entries"),
        ("a.json", b"{}", "it has no entries"),
        ("a.json", b'["a", "b", "a"]', "'a' has the ids 0 and 2"),
        ("a.json", b'{"a": 0, "b": 1, "a": 2}', "'a' has the ids 0 and 2"),
        ("a.json", b'{"a": 0, "b": 0}', "it gives id 0 to 'a' and 'b'"),
        ("a.json", b'{"a": "0", "b": -1, "c": true}', "'a': '0', 'b': -1, 'c': True: an entry's"),
        ("a.json", b'{"0": "a", "1": "a"}', "'a' has the ids 0 and 1"),
        ("a.json", b'{"0": "a", "00": "b"}', "it gives id 0 to 'a' and 'b'"),
        ("a.json", b'{"12345678901": "a"}', "an entry's value must be its id"),
        ("a.json", b'{"a": 1e9, "b": 9999999}', "'a': 1000000000.0, 'b': 9999999: an entry's"),
        ("a.json", b'["a", 1]', "1 is no text, as an entry is"),
        ("a.json", b'["a", [null, "x"]]', "[None, 'x'] is no text, as an entry of an alphabet is"),
        (
            "a.json",
            b'[["a", 0]]',
            "['a', 0] is no text, as an entry is (without null it is a string",
        ),
        ("a.json", b'"ehlo"', "neither a list of entries nor an object"),
        ("a.json", b'["a"', "no JSON in UTF-8"),
        ("a.json", b'["\xff"]', "no JSON in UTF-8"),
        ("a.json", b"[" * 100_000, "no JSON in UTF-8"),
        ("a.json", b'["a", "\\ud800"]', "'\\ud800' has half of a surrogate pair"),
        ("a.csv", b"a,b", "a file of entries ends in .txt or .json"),
    ],
)
def test_a_file_of_no_alphabet(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IntakeError) as caught:
        read_entries(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert words in str(caught.value)


def test_entries_that_are_none() -> None:
    with pytest.raises(IntakeError, match=r"chars\.txt: No such file"):
        read_entries("chars.txt")
    with pytest.raises(IntakeError, match=r"^'hello': 'l' has the ids 2 and 3"):
        read_entries("hello")
    with pytest.raises(IntakeError, match=r"^'': it has no entries"):
        read_entries("")
    assert len(read_entries("".join(map(chr, range(0x4E00, 0x9000))))) == 0x4200
    for odd in ({1: 0}, {("a", "b"): 0}):
        with pytest.raises(IntakeError, match="an entry's value must be its id"):
            read_entries(odd)  # type: ignore[arg-type]
    with pytest.raises(IntakeError, match="and 18 more"):
        read_entries([*map(chr, range(97, 123)), *map(chr, range(97, 123))])


def parts(rows: int = 6, labels: int | None = 6, cell: str = "GRU", **settings: object) -> Parts:
    """Return the parts of a network of this embedding and linear layer."""
    torch.manual_seed(rows)
    net = nn.ModuleDict({"emb": nn.Embedding(rows, 3), "rec": getattr(nn, cell)(3, 4, **settings)})
    if labels:
        net["out"] = nn.Linear(8 if settings.get("bidirectional") else 4, labels)
    return recognise(net.state_dict(), Choices(nonlinearity="tanh" if cell == "RNN" else None))


@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_network_computes_what_pytorch_computes(cell: str, bidirectional: bool) -> None:
    settings = {"num_layers": 2, "bidirectional": bidirectional, "batch_first": True}
    torch.manual_seed(0)
    emb, rec = nn.Embedding(5, 3), getattr(nn, cell)(3, 4, **settings)
    out = nn.Linear(8 if bidirectional else 4, 5)
    net = nn.ModuleDict({"emb": emb, "rec": rec, "out": out})
    found = recognise(net.state_dict(), Choices(nonlinearity="tanh" if cell == "RNN" else None))
    network = build_network(found, read_entries("abcde"))
    ids = torch.randint(5, (3, 7))
    assert torch.equal(network(ids), out(rec(emb(ids))[0]))
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32, name
        assert tensor.is_contiguous(), name


def test_the_rows_are_in_the_order_of_the_characters_and_the_unknown_row_is_last() -> None:
    found, alphabet = parts(), read_entries(["<pad>", "b", "<unk>", "a", "<s>", "c"])
    network = build_network(found, alphabet, read_entries("uvwxyz"), unknown_token="<unk>")
    assert network.config.input_alphabet == "bac"
    assert network.config.output_alphabet == "uvwxyz"
    assert torch.equal(network.embedding.weight, found.embedding[[1, 3, 5, 2]])
    rows = find_rows(found, alphabet, "<unk>")
    assert (rows.unknown, rows.reserved) == (2, {0: "<pad>", 4: "<s>"})


def test_a_row_more_than_the_alphabet_is_for_unknown_characters() -> None:
    found = parts(6, 5)
    network = build_network(found, read_entries("abcde"))
    assert torch.equal(network.embedding.weight, found.embedding)
    refusing = build_network(found, read_entries("abcde"), unknown="error")
    assert refusing.config.unknown == "error"
    assert torch.equal(refusing.embedding.weight, found.embedding[:5])


def test_a_row_for_padding_is_no_character_of_an_alphabet_that_names_no_padding() -> None:
    """Otherwise an alphabet that counts from 1 would be read one row too early."""
    found = parts(6, 6)
    found.embedding[0] = 0
    with pytest.raises(IntakeError, match="padding, and the alphabet 'abcde' gives it to 'a'"):
        build_network(found, read_entries("abcde"), read_entries("uvwxyz"))
    with pytest.raises(IntakeError, match=r"row 3 of emb\.weight is for padding"):
        build_network(replace(parts(6, 5), padding=3), read_entries("abcde"))
    labels = read_entries("uvwxyz")
    network = build_network(found, read_entries(["<pad>", *"abcde"]), labels)
    assert torch.equal(network.embedding.weight, found.embedding[1:])
    # A character may be read from it, if every row has an entry; the account says so.
    whole = read_entries(" abcde")
    assert build_network(found, whole, labels).config.input_alphabet == " abcde"
    assert row_lines(find_rows(found, whole, None), "error") == [
        "unknown characters are an error",
        "the row of the embedding that is for padding is read for ' '",
    ]
    # The row for unknown characters may be all zeros, and so may several rows.
    last = parts(6, 5)
    last.embedding[5] = 0
    assert build_network(last, read_entries("abcde")).config.unknown == "label"
    last.embedding[:] = 0
    assert build_network(last, read_entries("abcde")).config.unknown == "label"


def test_without_a_row_for_them_unknown_characters_are_an_error() -> None:
    assert build_network(parts(), read_entries("abcdef")).config.unknown == "error"
    with pytest.raises(IntakeError, match="--unknown copy needs a row for unknown characters"):
        build_network(parts(), read_entries("abcdef"), unknown="copy")


def test_a_character_may_be_the_unknown_token() -> None:
    found = parts()
    network = build_network(found, read_entries("abcde?"), unknown_token="?")
    assert network.config.input_alphabet == "abcde?"
    assert torch.equal(network.embedding.weight, found.embedding[[0, 1, 2, 3, 4, 5, 5]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_types_become_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    net = nn.ModuleDict({"emb": nn.Embedding(4, 3), "gru": nn.GRU(3, 4)}).to(dtype)
    network = build_network(recognise(net.state_dict()), read_entries("abcd"))
    assert network.embedding.weight.dtype == torch.float32
    assert torch.equal(network.embedding.weight, net.state_dict()["emb.weight"].float())


@pytest.mark.parametrize(
    ("alphabet", "labels", "words"),
    [
        (
            "abcd",
            None,
            [
                "emb.weight has 6 rows, and the alphabet 'abcd' has 4 entries; it needs 6, or 5 if",
                "out.weight gives 6 logits, and the labels are the alphabet, 'abcd', of 4 entries; "
                "name 6 with --labels",
            ],
        ),
        ("abcdef", "ab", ["out.weight gives 6 logits, and the labels 'ab', of 2 entries"]),
        ("abcdefg", "abcdef", ["emb.weight has 6 rows, and the alphabet 'abcdefg' has 7 entries"]),
        (
            ["<reserved>", "a", "b", "c", "d", "e"],
            None,
            ["the given entries: label 0 is '<reserved>': it has 10 elements; 8 are possible"],
        ),
        (
            {"a": 1, "b": 5},
            None,
            ["label 0 is without an entry: each logit needs a label; label 2 is without"],
        ),
        (["aa", "bb", "cc", "dd", "ee", "ff"], "abcdef", ["none of its entries is one character"]),
        ("abcdef", "abcde\n", ["label 5 is '\\n': it has LF, which would make two lines of one"]),
    ],
)
def test_entries_that_do_not_fit(
    alphabet: Given, labels: GivenLabels | None, words: list[str]
) -> None:
    with pytest.raises(IntakeError) as caught:
        build_network(
            parts(), read_entries(alphabet), None if labels is None else read_labels(labels)
        )
    for part in words:
        assert part in str(caught.value)


def test_an_unknown_token_that_is_no_entry() -> None:
    with pytest.raises(IntakeError, match="'abcdef' has no entry '<unk>' for --unknown-token"):
        build_network(parts(), read_entries("abcdef"), unknown_token="<unk>")
    with pytest.raises(IntakeError, match=r"'abcde' has 5 entries; it needs 6; out"):
        build_network(parts(), read_entries("abcde"), unknown_token="a")


def test_without_a_linear_layer_the_hidden_values_are_the_logits() -> None:
    with pytest.raises(IntakeError, match="the last hidden state gives 4 logits, and the labels"):
        build_network(parts(labels=None), read_entries("abcdef"), read_entries("abc"))
    network = build_network(parts(labels=None), read_entries("abcdef"), read_entries("abcd"))
    assert not network.config.projection


def test_the_weights_share_no_memory_with_those_that_were_recognised() -> None:
    found = parts()
    network = build_network(found, read_entries("abcdef"))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for tensor in (found.embedding, *found.recurrence.values(), *(found.linear or ())):
        tensor.zero_()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_labels_may_be_edits(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text('["ł", "", [null], [null, "\u064e\u0651"], [" ", null], "<unk>"]')
    given = ["ł", "", [None], (None, "\u064e", "\u0651"), [" ", None], "<unk>"]
    edits = (("ł",), (), (None,), (None, "\u064e", "\u0651"), (" ", None), tuple("<unk>"))
    for labels in (read_labels(file), read_labels(given)):
        assert build_network(parts(), read_entries("abcdef"), labels).config.output_labels == edits
    (tmp_path / "labels.txt").write_text("x\n\nab\n")
    assert read_labels(tmp_path / "labels.txt").values == ("x", "", "ab")


def test_the_labels_are_the_alphabet_with_its_reserved_entries() -> None:
    network = build_network(parts(), read_entries(["<pad>", "<unk>", "a", "b", "c", "d"]))
    assert network.config.output_labels == (tuple("<pad>"), tuple("<unk>"), *map(tuple, "abcd"))


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ([None, 3], "3 is no character"),
        ([None] * 9, "it has 9 elements"),
        (["a"], "without null it is a string, not a list"),
        ([None, "\n"], "it has LF"),
        (3, "neither a string nor a list"),
    ],
)
def test_a_label_that_is_no_edit(label: Any, words: str) -> None:
    with pytest.raises(
        IntakeError, match=f"given entries: .* is no text, as an entry is .*{words}"
    ):
        read_labels(["a", label])


def test_json_of_an_alphabet_as_people_save_it(tmp_path: Path) -> None:
    file = tmp_path / "vocabulary.json"
    file.write_text(json.dumps({"<pad>": 0, "<unk>": 1, "ż": 2, "a": 3, "b": 4, "c": 5}))
    alphabet = read_entries(file)
    network = build_network(parts(labels=4), alphabet, read_entries("żabc"), unknown_token="<unk>")
    assert network.config.input_alphabet == "żabc"
