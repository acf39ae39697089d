"""Networks that were not made here: plain PyTorch modules, with their own names and forwards."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROWS, WIDTH, HIDDEN, LABELS = 6, 7, 5, 4
"""Rows and width of the embedding, hidden values of each direction, labels."""
CLASSES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
CELL_CLASSES = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


class Tagger(nn.Module):
    """An embedding, a recurrence and a linear layer or none, on ids [batch, time]."""

    def __init__(
        self,
        cell: str = "gru",
        *,
        layers: int = 1,
        bidirectional: bool = False,
        bias: bool = True,
        linear: bool = True,
        linear_bias: bool = True,
        tied: bool = False,
        padding: bool = False,
        nonlinearity: str = "tanh",
        width: int = WIDTH,
        hidden: int = HIDDEN,
        rows: int = ROWS,
        labels: int = LABELS,
    ) -> None:
        super().__init__()
        features = hidden * (2 if bidirectional else 1)
        if tied:
            width, labels = features, rows
        more = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
        self.embed = nn.Embedding(rows, width, padding_idx=0 if padding else None)
        self.encoder = CLASSES[cell](
            width,
            hidden,
            num_layers=layers,
            bias=bias,
            batch_first=True,
            bidirectional=bidirectional,
            **more,
        )
        if linear:
            self.head = nn.Linear(features, labels, bias=linear_bias)
            if tied:
                self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.encoder(self.embed(ids))[0]
        return self.head(logits) if hasattr(self, "head") else logits


class CellLoop(nn.Module):
    """A loop of cells in Python, one for each layer, on ids [batch, time]."""

    def __init__(
        self,
        cell: str = "gru",
        *,
        layers: int = 1,
        bias: bool = True,
        nonlinearity: str = "tanh",
        linear: bool = True,
        linear_bias: bool = True,
        padding: bool = False,
        rows: int = ROWS,
    ) -> None:
        super().__init__()
        more = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
        self.embed = nn.Embedding(rows, WIDTH, padding_idx=0 if padding else None)
        self.cells = nn.ModuleList(
            CELL_CLASSES[cell](HIDDEN if layer else WIDTH, HIDDEN, bias=bias, **more)
            for layer in range(layers)
        )
        if linear:
            self.head = nn.Linear(HIDDEN, LABELS, bias=linear_bias)

    def forward(self, ids: Tensor) -> Tensor:
        values = list(self.embed(ids).unbind(1))
        for cell in self.cells:
            state = None
            for step, value in enumerate(values):
                state = cell(value, state)
                values[step] = state[0] if isinstance(state, tuple) else state
        logits: Tensor = torch.stack(values, 1)
        return self.head(logits) if hasattr(self, "head") else logits


class NoNameNet(nn.Module):
    """A class with the attributes of the post's: three recurrences, of which forward uses one."""

    def __init__(self, symbols: int = 4, width: int = 10, hidden: int = 4, layers: int = 1) -> None:
        super().__init__()
        self.emb = nn.Embedding(symbols, width)
        self.rnn = nn.RNN(width, hidden, layers, batch_first=True)
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True)
        self.gru = nn.GRU(width, hidden, layers, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits [time, labels] of ids [time, 1]."""
        vectors = self.emb(ids).permute(1, 0, 2)
        outputs: Tensor = self.gru(vectors)[0]
        return outputs.reshape(-1, outputs.shape[-1])
