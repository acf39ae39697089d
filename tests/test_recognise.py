"""A network is recognised among tensors, and what has no place is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hello_export.errors import IntakeError
from hello_export.intake.recognise import Choices, Parts, recognise
from outside import CELL_CLASSES, CLASSES, CellLoop, NoNameNet, Tagger
from torch import Tensor, nn

Tensors = dict[str, Tensor]


def chosen(kind: str, cell: str | None = None) -> Choices:
    """Return choices for a kind of recurrence; an RNN's weights do not say their nonlinearity."""
    return Choices(cell=cell, nonlinearity="tanh" if kind == "rnn" else None)


def refused(tensors: Tensors, choices: Choices | None = None) -> str:
    with pytest.raises(IntakeError) as caught:
        recognise(tensors, choices, "net.pt")
    said = str(caught.value)
    assert said.startswith("net.pt: ")
    assert "\n" not in said
    return said


def logits(parts: Parts, ids: Tensor) -> Tensor:
    """Return what plain PyTorch gives with the parts, float32 [batch, time, labels]."""
    more = {"nonlinearity": parts.nonlinearity} if parts.cell == "rnn" else {}
    network = CLASSES[parts.cell](
        parts.embedding.shape[1],
        parts.hidden_size,
        num_layers=parts.layers,
        batch_first=True,
        bidirectional=parts.bidirectional,
        **more,
    )
    network.load_state_dict(parts.recurrence)
    hidden: Tensor = network(parts.embedding[ids])[0]
    return nn.functional.linear(hidden, *parts.linear) if parts.linear else hidden


def assert_recognised(module: nn.Module, choices: Choices | None = None) -> Parts:
    """Check that the parts of a module's state dict give what its forward does."""
    tensors = module.state_dict()
    parts = recognise(tensors, choices)
    ids = torch.randint(len(parts.embedding), (3, 9))
    with torch.inference_mode():
        expected = module(ids)
        assert torch.allclose(logits(parts, ids), expected, atol=1e-6)
    assert expected.shape[-1] == parts.labels
    assert parts.roles.keys() | parts.ignored.keys() == tensors.keys()
    return parts


@pytest.mark.parametrize("cell", CLASSES)
@pytest.mark.parametrize("layers", [1, 2, 8])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_recurrences(cell: str, layers: int, bidirectional: bool, bias: bool) -> None:
    module = Tagger(cell, layers=layers, bidirectional=bidirectional, bias=bias)
    parts = assert_recognised(module, chosen(cell))
    found = (parts.cell, parts.layers, parts.bidirectional, parts.hidden_size)
    assert found == (cell, layers, bidirectional, 5)


@pytest.mark.parametrize(("linear", "linear_bias"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_linear_layers(linear: bool, linear_bias: bool, padding: bool, bidirectional: bool) -> None:
    assert_recognised(
        Tagger(linear=linear, linear_bias=linear_bias, padding=padding, bidirectional=bidirectional)
    )


@pytest.mark.parametrize("cell", CELL_CLASSES)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_loops_of_cells(cell: str, layers: int, bias: bool) -> None:
    parts = assert_recognised(CellLoop(cell, layers=layers, bias=bias), chosen(cell))
    assert parts.layers == layers


def test_more_than_ten_cells_are_in_the_order_of_their_numbers() -> None:
    assert_recognised(CellLoop(layers=12))


def renamed(tensors: Tensors, old: str, new: str) -> Tensors:
    return {name.replace(old, new): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("first", "second"),
    [("cell1.", "cell2."), ("steps.0.cell.", "steps.1.cell."), ("a.cell_1.", "a.cell_2.")],
)
def test_cells_may_be_numbered_anyhow(first: str, second: str) -> None:
    tensors = CellLoop(layers=2).state_dict()
    parts = recognise(renamed(renamed(tensors, "cells.0.", first), "cells.1.", second))
    assert torch.equal(parts.recurrence["weight_ih_l1"], tensors["cells.1.weight_ih"])


def test_a_nonlinearity_is_taken_as_it_is_chosen() -> None:
    module = Tagger("rnn", nonlinearity="relu")
    assert_recognised(module, Choices(nonlinearity="relu"))
    said = refused(module.state_dict())
    assert "add --nonlinearity tanh or --nonlinearity relu" in said
    assert "--nonlinearity relu: the nonlinearity of GRU is tanh" in refused(
        Tagger().state_dict(), Choices(nonlinearity="relu")
    )


def test_any_prefix_or_none_will_do() -> None:
    tensors = renamed(Tagger(layers=2).state_dict(), "encoder.", "")
    tensors = renamed(renamed(tensors, "embed", "a.b.c"), "head", "Ω")
    assert recognise(tensors).roles["Ω.bias"] == "linear layer: bias"


def test_the_roles_are_in_words() -> None:
    parts = recognise(Tagger(bidirectional=True).state_dict())
    assert parts.roles["embed.weight"] == "embedding: 6 rows of width 7"
    assert parts.roles["encoder.weight_hh_l0"] == "GRU layer 0: recurrent weights"
    assert parts.roles["encoder.bias_ih_l0_reverse"] == "GRU layer 0, backward: input bias"
    assert parts.roles["head.weight"] == "linear layer: 4 labels from 10 values"


@pytest.mark.parametrize("linear_bias", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_tied_weights(linear_bias: bool, bidirectional: bool) -> None:
    """Saved under both names, or under either one, as by safetensors' `save_model`."""
    module = Tagger(tied=True, linear_bias=linear_bias, bidirectional=bidirectional)
    assert_recognised(module)
    tensors = module.state_dict()
    for missing, kept in [("embed.weight", "head"), ("head.weight", "embed")]:
        once = {name: tensor for name, tensor in tensors.items() if name != missing}
        one_hot = linear_bias and kept == "head"
        parts = recognise(
            once, Choices(embedding=kept if one_hot else None, linear=None if linear_bias else kept)
        )
        assert parts.linear
        assert torch.equal(parts.linear[0], parts.embedding)
        assert bool(parts.linear[1].any()) == linear_bias
        assert "and, tied to it, linear layer" in parts.roles[f"{kept}.weight"]


def test_a_linear_layer_is_no_embedding_by_its_shape_alone() -> None:
    """A network may read one-hot vectors, as wide as its hidden state: it has no embedding."""
    said = refused(nn.ModuleDict({"gru": nn.GRU(4, 4), "head": nn.Linear(4, 4)}).state_dict())
    assert "head.weight [4, 4] is a linear layer, and there is no embedding beside it" in said
    assert "add --embedding head.weight" in said


def test_one_matrix_may_be_tied_or_the_embedding_alone() -> None:
    """Nothing in the file tells; so a choice must."""
    tensors = Tagger(linear=False, width=5).state_dict()
    said = refused(tensors)
    assert "embed.weight is the embedding, and there is no linear layer" in said
    assert "embed.weight is both the embedding and the linear layer" in said
    assert "choose with --linear none or --linear embed.weight" in said
    assert recognise(tensors, Choices(linear="none")).linear is None
    assert recognise(tensors, Choices(linear="embed")).linear is not None


def test_embedding_and_linear_layer_of_one_width() -> None:
    """A bias tells them apart; without one a choice must."""
    assert_recognised(Tagger(width=5))
    module = Tagger(width=5, linear_bias=False)
    said = refused(module.state_dict())
    assert "embed.weight is the embedding, and head.weight the linear layer" in said
    assert "head.weight is the embedding, and embed.weight the linear layer" in said
    assert "choose with --embedding embed.weight or --embedding head.weight" in said
    for choices in (Choices(embedding="embed"), Choices(linear="head.weight")):
        assert_recognised(module, choices)
    other = recognise(module.state_dict(), Choices(embedding="head"))
    assert torch.equal(other.embedding, module.state_dict()["head.weight"])


def test_the_class_of_the_post() -> None:
    tensors = NoNameNet().state_dict()
    said = refused(tensors)
    assert "3 recurrences, gru (GRU) with gru.weight_hh_l0 [12, 4], lstm (LSTM) with lstm." in said
    assert said.count("supported are one embedding, one nn.RNN") == 1
    assert "choose with --cell gru or lstm or rnn" in said
    for cell in CLASSES:
        parts = recognise(tensors, chosen(cell, cell))
        assert (parts.cell, parts.linear) == (cell, None)
        unused = {name for name in tensors if not name.startswith((cell, "emb"))}
        assert parts.ignored == dict.fromkeys(unused, f"--cell chose {cell}")
    assert recognise(tensors, Choices(ignored=("rnn", "lstm."))).cell == "gru"
    assert "add --nonlinearity" in refused(tensors, Choices(cell="rnn"))
    assert "--cell gru: the recurrence is encoder (LSTM)" in refused(
        Tagger("lstm").state_dict(), Choices(cell="gru")
    )


def test_two_recurrences_of_one_cell() -> None:
    tensors = {**Tagger().state_dict(), **renamed(Tagger().state_dict(), "encoder", "decoder")}
    said = refused(tensors, Choices(cell="gru"))
    assert "2 recurrences, decoder (GRU) with" in said
    assert ", encoder (GRU) with encoder.weight_hh_l0 [15, 5]: leave others out with --" in said
    assert recognise(tensors, Choices(ignored=("decoder",))).ignored.keys() == {
        name for name in tensors if name.startswith("decoder.")
    }


def test_a_prefix_to_ignore_ends_where_a_name_does() -> None:
    tensors = {**Tagger().state_dict(), "heads.weight": torch.ones(2, 3)}
    assert "no place for heads.weight [2, 3]" in refused(tensors)
    assert recognise(tensors, Choices(ignored=("heads",))).ignored == {
        "heads.weight": "--ignore heads"
    }
    said = refused(tensors, Choices(ignored=("he", "heads")))
    assert said == "net.pt: --ignore he: no tensor has this prefix"


class Strange(nn.Module):
    """What has no place, in one module each."""

    norm = staticmethod(lambda: nn.LayerNorm(5))
    convolution = staticmethod(lambda: nn.Conv1d(5, 5, 3))
    attention = staticmethod(lambda: nn.MultiheadAttention(6, 2))
    second = staticmethod(lambda: nn.Linear(4, 9))
    counted = staticmethod(lambda: nn.BatchNorm1d(5))


@pytest.mark.parametrize("name", ["norm", "convolution", "attention", "second", "counted"])
def test_what_has_no_place_is_named_with_its_shape(name: str) -> None:
    more = {f"{name}.{key}": value for key, value in getattr(Strange, name)().state_dict().items()}
    said = refused({**Tagger().state_dict(), **more})
    for key, tensor in more.items():
        assert f"{key} {list(tensor.shape)}" in said
    assert "encoder" not in said
    assert "supported are one embedding, one nn.RNN" in said
    assert "the embedding is [rows, 7], and the linear layer [labels, 5]" in said
    assert "leave out with --ignore what forward does not use" in said


def test_a_second_linear_layer_of_the_same_width() -> None:
    tensors = Tagger().state_dict()
    tensors |= {"other.weight": torch.ones(5, 5), "other.bias": torch.ones(5)}
    said = refused(tensors)
    assert "head.weight [4, 5], head.bias [4], other.weight [5, 5], other.bias [5]" in said
    assert "leave out with --ignore what is not used" in said
    # A choice gives a role, and drops nothing.
    said = refused(tensors, Choices(linear="head"))
    assert "no place for other.weight [5, 5], other.bias [5]" in said


def test_two_tensors_that_fit_the_embedding() -> None:
    said = refused({**Tagger().state_dict(), "also.weight": torch.ones(9, 7)})
    assert "not all of embed.weight [6, 7], also.weight [9, 7] have a place" in said


def test_a_gain_is_no_bias_of_tied_weights() -> None:
    tensors = Tagger(tied=True, linear_bias=False).state_dict()
    tensors |= {"norm.weight": torch.ones(6), "norm.bias": torch.ones(6)}
    said = refused(tensors)
    assert "no place for norm.weight [6], norm.bias [6]" in said


def test_proj_size() -> None:
    module = nn.ModuleDict({"e": nn.Embedding(6, 7), "lstm": nn.LSTM(7, 5, 2, proj_size=3)})
    said = refused(module.state_dict())
    assert "lstm.weight_hr_l0 [3, 5], lstm.weight_hr_l1 [3, 5]" in said
    assert "proj_size is not supported; supported are" in said


@pytest.mark.parametrize(
    ("wrap", "names"),
    [
        (torch.nn.utils.parametrizations.weight_norm, ("head.parametrizations.weight.original0",)),
        (torch.nn.utils.parametrizations.spectral_norm, ("head.parametrizations.weight.0._u [4]",)),
    ],
)
def test_a_parametrization_is_named_with_what_to_do(wrap: object, names: tuple[str, ...]) -> None:
    module = Tagger()
    wrap(module.head)  # type: ignore[operator]
    said = refused(module.state_dict())
    assert all(name in said for name in names)
    assert "remove_parametrizations" in said


def without(tensors: Tensors, *names: str) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name not in names}


def contradictions() -> Iterator[tuple[Tensors, list[str]]]:
    """Yield tensors that contradict each other, and what the error must say."""
    two = Tagger(layers=3, bidirectional=True).state_dict()
    one = Tagger(layers=3).state_dict()
    yield (
        {**one, "encoder.bias_ih_l1": torch.ones(14)},
        ["encoder.bias_ih_l1 [14] must be [15] beside encoder.weight_hh_l0 [15, 5] of GRU"],
    )
    yield (
        {**one, "encoder.weight_ih_l1": torch.ones(15, 6)},
        ["encoder.weight_ih_l1 [15, 6] must be [15, 5]"],
    )
    yield (
        {**one, "encoder.weight_ih_l0": torch.ones(15)},
        ["encoder.weight_ih_l0 [15] must be [15, width of the embedding]"],
    )
    yield (
        {name: tensor for name, tensor in one.items() if "_l1" not in name},
        ["encoder.weight_ih_l2 is of layer 2, and layer 1 is missing"],
    )
    yield (
        {name: tensor for name, tensor in two.items() if "_l2_reverse" not in name},
        ["layer 2 of encoder (GRU) has no backward direction beside encoder.weight_ih_l0_reverse"],
    )
    yield (
        {name: tensor for name, tensor in two.items() if not name.endswith("_l0")},
        ["layer 0 of encoder (GRU) has no forward direction beside encoder.weight_ih_l1"],
    )
    yield without(one, "encoder.weight_hh_l2"), ["there is no weight_hh_l2 beside encoder"]
    yield without(one, "encoder.bias_hh_l2"), ["there is no bias_hh_l2 beside encoder.bias_ih_l2"]
    yield (
        without(one, "encoder.bias_hh_l2", "encoder.bias_ih_l2"),
        ["there is no bias_ih_l2 beside encoder.bias_ih_l0", "there is no bias_hh_l2"],
    )
    yield (
        {**one, "encoder.weight_hh_l0": torch.ones(10, 5)},
        ["encoder.weight_hh_l0 [10, 5] fits no cell", "RNN 1, GRU 3, LSTM 4"],
    )
    yield without(one, "embed.weight"), ["there is no embedding", "no other tensor is [rows, 7]"]
    yield (
        {**one, "head.bias": torch.ones(3)},
        ["head.bias [3] does not fit head.weight [4, 5]", "no place for head.bias [3]"],
    )
    yield {**one, "head.weight": torch.ones(4, 6)}, ["no place for head.weight [4, 6], head.bias"]
    yield {**one, "embed.weight": torch.ones(6, 8)}, ["no place for embed.weight [6, 8]"]
    yield {**one, "embed.weight": torch.ones(6, 7, dtype=torch.int64)}, ["there is no embedding"]
    loop = CellLoop(layers=3).state_dict()
    yield (
        {name: tensor for name, tensor in loop.items() if "cells.1" not in name},
        ["cells.2.weight_ih is of layer 2, and layer 1 is missing"],
    )
    yield without(loop, "cells.1.bias_hh"), ["there is no bias_hh beside cells.1.bias_ih"]
    yield {"a": torch.ones(3)}, ["there is no recurrence", "no place for a [3]", "supported are"]
    yield {}, ["there is no recurrence"]


@pytest.mark.parametrize(("tensors", "parts"), [*contradictions()])
def test_contradictions(tensors: Tensors, parts: list[str]) -> None:
    said = refused(tensors)
    for part in parts:
        assert part in said


def test_all_faults_are_named_at_once() -> None:
    tensors = Tagger(layers=2).state_dict()
    tensors |= {"encoder.bias_ih_l0": torch.ones(14), "encoder.bias_hh_l1": torch.ones(13)}
    tensors |= {"norm.weight": torch.ones(5), "head.bias": torch.ones(3)}
    said = refused(tensors, Choices(nonlinearity="relu", ignored=("gone",), embedding="head"))
    for name in ("encoder.bias_ih_l0 [14]", "encoder.bias_hh_l1 [13]", "norm.weight [5]"):
        assert name in said
    for option in ("--nonlinearity relu", "--ignore gone", "--embedding head"):
        assert option in said


def test_what_no_recurrence_wants_is_named_beside_the_choice() -> None:
    said = refused({**NoNameNet().state_dict(), "norm.weight": torch.ones(4)})
    assert "3 recurrences" in said
    assert "no place for norm.weight [4]" in said
    assert said.count("supported are") == 1


def test_a_name_makes_no_second_line() -> None:
    said = refused({**Tagger().state_dict(), "a\nb\x1b": torch.ones(3)})
    assert "no place for a\\nb\\x1b [3]" in said


def test_numbers_of_thousands_of_digits() -> None:
    """Python refuses to read them."""
    tensors = Tagger().state_dict()
    said = refused({name.replace("_l0", "_l" + "1" * 5000): t for name, t in tensors.items()})
    assert "there is no recurrence" in said
    prefix = "cell" + "1" * 5000
    cell = {f"{prefix}.{name}": t for name, t in nn.GRUCell(7, 5).state_dict().items()}
    others = {name: t for name, t in tensors.items() if "encoder" not in name}
    assert recognise({**others, **cell}).layers == 1


def test_numbers_that_mean_the_same_hide_no_tensor() -> None:
    tensors = Tagger().state_dict()
    said = refused({**tensors, "encoder.weight_ih_l00": torch.ones(15, 7)})
    assert "no place for encoder.weight_ih_l00 [15, 7]: the embedding is [rows, 7]" in said


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_the_types_stay_as_they_are(kind: torch.dtype) -> None:
    parts = recognise(Tagger(bias=False, linear_bias=False).to(kind).state_dict())
    assert parts.linear
    for tensor in (parts.embedding, *parts.recurrence.values(), *parts.linear):
        assert tensor.dtype == kind


def test_the_choices_of_names_that_do_not_exist_are_faults() -> None:
    tensors = Tagger().state_dict()
    for name in ("gone", "encoder", "encoder.weight_ih_l0"):
        said = refused(tensors, Choices(embedding=name, linear=name))
        assert f"--embedding {name}: no tensor of this name is [rows, 7]" in said
        assert f"--linear {name}: no tensor of this name is [rows, 5]" in said
