"""The optimizer: Adam of Kingma and Ba 2015, arXiv:1412.6980.

It gives, bit for bit, what `torch.optim.Adam` gives. That one imports PyTorch's compiler when it is
made, which takes as long as to learn hello.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

MEAN_DECAY, SQUARE_DECAY = 0.9, 0.999
"""How much of the moving averages stays in a step: the paper's beta 1 and beta 2."""
EPSILON = 1e-8


class Adam:
    """Adam with the paper's constants, and a learning rate that is given with each step."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = [*parameters]
        self.steps = 0
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        """The moving average of each parameter's gradient."""
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        """The moving average of its square."""

    def forget_gradients(self) -> None:
        """Drop the gradients, which the next backward pass makes anew."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change each parameter by its gradient.

        The methods of PyTorch's `foreach` run one operation on a list of tensors: on a GPU in one
        kernel.
        """
        found = [parameter.grad for parameter in self.parameters]
        gradients = [gradient for gradient in found if gradient is not None]  # none is: for mypy
        self.steps += 1
        torch._foreach_lerp_(self.means, gradients, 1 - MEAN_DECAY)
        torch._foreach_mul_(self.squares, SQUARE_DECAY)
        torch._foreach_addcmul_(self.squares, gradients, gradients, 1 - SQUARE_DECAY)
        # Both averages start at zero; the paper's corrections make up for that.
        mean_correction = 1 - MEAN_DECAY**self.steps
        square_correction = 1 - SQUARE_DECAY**self.steps
        divisors = torch._foreach_sqrt(self.squares)
        torch._foreach_div_(divisors, square_correction**0.5)
        torch._foreach_add_(divisors, EPSILON)
        torch._foreach_addcdiv_(self.parameters, self.means, divisors, -rate / mean_correction)

    def tensors(self) -> dict[str, Tensor]:
        """Return its state, by the names that it has in `torch.optim.Adam`."""
        found: dict[str, Tensor] = {}
        for number, (mean, square) in enumerate(zip(self.means, self.squares, strict=True)):
            found[f"{number}.step"] = torch.tensor(float(self.steps))
            found |= {f"{number}.exp_avg": mean, f"{number}.exp_avg_sq": square}
        return found

    def put_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore a state that `tensors` returned."""
        self.steps = int(tensors["0.step"])
        for number, (mean, square) in enumerate(zip(self.means, self.squares, strict=True)):
            mean.copy_(tensors[f"{number}.exp_avg"])
            square.copy_(tensors[f"{number}.exp_avg_sq"])
