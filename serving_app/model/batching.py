"""Requests that arrive together share one inference, if model.json says that their rows know nothing of each other,
and if it was seen to save time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_app.model.model_dir import DATATYPES, ModelDir, Tensor

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]

ROWS = 8
"""Rows of the trial."""
WORTH = 0.5
"""One inference of ROWS rows must take less than this part of ROWS inferences of one."""
LONGEST = 0.005
"""A model that takes longer for one row has nothing to gain: computing it, not calling it, takes the time."""
EQUAL_RELATIVE, EQUAL_ABSOLUTE = 1e-4, 1e-6
"""Kernels for one row and for many may add up in another order."""


def worthwhile(model: ModelDir, run: Run) -> bool:
    """Whether rows may be computed together, and take less time so than alone. That they may is for model.json to
    say, and for publishing to doubt: the few usual rows that are tried here would not show it."""
    if not model.independent or not all(_open(tensor) for tensor in (*model.inputs, *model.outputs)):
        return False
    numbers = np.random.default_rng(0)
    together = {
        tensor.name: numbers.random((ROWS, *(abs(size) for size in tensor.shape[1:]))).astype(
            DATATYPES[tensor.datatype]
        )
        for tensor in model.inputs
    }
    alone = [{name: array[i : i + 1] for name, array in together.items()} for i in range(ROWS)]
    try:
        start = time.perf_counter()
        run(alone[0])
        if time.perf_counter() - start > LONGEST:
            return False
        expected, given = [run(arrays) for arrays in alone], run(together)
        same = all(
            given[name].shape[0] == ROWS
            and np.allclose(
                given[name], np.concatenate([outputs[name] for outputs in expected]), EQUAL_RELATIVE, EQUAL_ABSOLUTE
            )
            for name in given
        )
        return same and _fastest(lambda: run(together)) < WORTH * _fastest(lambda: [run(arrays) for arrays in alone])
    except Exception:  # the model does not take such rows; nothing is lost but the saving
        return False


def run_together(requests: Sequence[Arrays], run: Run) -> list[Arrays]:
    """Return each request's outputs: from one inference of all their rows if that can be taken apart again, else from
    one for each. Nothing is believed here of what was checked before: a row that is counted wrongly is somebody else's.
    """
    rows = [_rows(arrays, requests[0]) for arrays in requests]
    if 0 in rows:
        return [run(arrays) for arrays in requests]
    outputs = run({name: np.concatenate([arrays[name] for arrays in requests]) for name in requests[0]})
    total = sum(rows)
    if any(array.shape[:1] != (total,) for array in outputs.values()):
        return [run(arrays) for arrays in requests]
    parts: list[Arrays] = []
    start = 0
    for count in rows:
        parts.append({name: array[start : start + count] for name, array in outputs.items()})
        start += count
    return parts


def _rows(arrays: Arrays, first: Arrays) -> int:
    """How many rows every input has; 0 if they differ, or if the inputs cannot be joined to the first request's."""
    if arrays.keys() != first.keys():
        return 0
    counts = set()
    for name, array in arrays.items():
        other = first[name]
        if array.ndim == 0 or array.shape[1:] != other.shape[1:] or array.dtype != other.dtype:
            return 0
        counts.add(array.shape[0])
    return counts.pop() if len(counts) == 1 else 0


def _open(tensor: Tensor) -> bool:
    """Whether it takes any number of rows, all of one size."""
    return tensor.datatype in ("FP32", "FP64") and tensor.shape[:1] == (-1,) and -1 not in tensor.shape[1:]


def _fastest(call: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
