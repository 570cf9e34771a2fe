"""DLRM's step in PyTorch, with its own tables or FBGEMM's, as DLRM's reference code does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Step = Callable[[int], None]
"""Makes the step of a batch, by its number."""


def torch_steps(
    tables: str,
    rows: Sequence[int],
    dimension: int,
    categories: NDArray[np.uint32],
    dense: NDArray[np.float32],
    labels: NDArray[np.uint8],
    layers: dict[str, list[int]] | None,
    threads: int,
) -> Step:
    """Return what makes a step of plain SGD in float32.

    Parameters
    ----------
    tables
        ``EmbeddingBag``, with sparse gradients; or ``FBGEMM``, whose update is fused.
    rows
        Rows of each field.
    dimension
        Components of a row.
    categories, dense, labels
        Batches: ``(s, b, f)``, ``(s, b, inputs)`` and ``(s, b)``.
    layers
        Widths of the bottom and the top layers; None: looked-up rows alone, with a gradient that is
        given.
    threads
        Number of threads.
    """
    import torch

    torch.set_num_threads(threads)
    look_up, update = (_fbgemm if tables == "FBGEMM" else _bags)(rows, dimension, categories)
    if layers is None:
        gradient = torch.full((categories.shape[1], len(rows), dimension), 1e-3)

        def step(number: int) -> None:
            look_up(number).backward(gradient)
            update()

        return step
    bottom, top = (_perceptron(layers[name], name == "top") for name in ("bottom", "top"))
    optimizer = torch.optim.SGD([*bottom.parameters(), *top.parameters()], lr=0.1)
    inputs, targets = torch.from_numpy(dense), torch.from_numpy(labels.astype(np.float32))
    i, j = (torch.from_numpy(x) for x in np.tril_indices(len(rows) + 1, -1))
    loss = torch.nn.BCEWithLogitsLoss()

    def whole_step(number: int) -> None:
        optimizer.zero_grad()
        own = bottom(inputs[number])
        vectors = torch.cat([own[:, None], look_up(number)], 1)
        products = torch.bmm(vectors, vectors.transpose(1, 2))[:, i, j]
        logits = top(torch.cat([own, products], 1))[:, 0]
        loss(logits, targets[number]).backward()
        optimizer.step()
        update()

    return whole_step


def _perceptron(sizes: Sequence[int], last_is_linear: bool) -> Any:
    import torch

    parts: list[Any] = []
    for a, b in pairwise(sizes):
        parts += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    return torch.nn.Sequential(*(parts[:-1] if last_is_linear else parts))


def _bags(
    rows: Sequence[int], dimension: int, categories: NDArray[np.uint32]
) -> tuple[Callable[[int], Any], Callable[[], None]]:
    import torch

    bags = torch.nn.ModuleList(
        torch.nn.EmbeddingBag(n, dimension, mode="sum", sparse=True) for n in rows
    )
    optimizer = torch.optim.SGD(bags.parameters(), lr=0.1)
    ids = torch.from_numpy(categories.astype(np.int64))
    offsets = torch.arange(categories.shape[1])

    def look_up(number: int) -> Any:
        optimizer.zero_grad()
        one = ids[number]
        return torch.stack([bag(one[:, f], offsets) for f, bag in enumerate(bags)], 1)

    return look_up, optimizer.step


def _fbgemm(
    rows: Sequence[int], dimension: int, categories: NDArray[np.uint32]
) -> tuple[Callable[[int], Any], Callable[[], None]]:
    import torch
    from fbgemm_gpu.split_embedding_configs import EmbOptimType
    from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
        ComputeDevice,
        EmbeddingLocation,
        SplitTableBatchedEmbeddingBagsCodegen,
    )

    tables = SplitTableBatchedEmbeddingBagsCodegen(
        [(n, dimension, EmbeddingLocation.HOST, ComputeDevice.CPU) for n in rows],
        optimizer=EmbOptimType.EXACT_SGD,
        learning_rate=0.1,
    )
    steps, batch, fields = categories.shape
    by_field = np.ascontiguousarray(categories.transpose(0, 2, 1)).reshape(steps, -1)
    ids = torch.from_numpy(by_field.astype(np.int64))
    offsets = torch.arange(fields * batch + 1)

    def look_up(number: int) -> Any:
        return tables(ids[number], offsets).view(batch, fields, dimension)

    return look_up, lambda: None
