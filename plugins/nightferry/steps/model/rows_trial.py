"""A model declares that its rows are independent: rows are computed alone, and again in bad company."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nightferry.entities.model_version import DATATYPES, ModelManifest, Tensor

SECONDS = 20.0
"""For all of it; a slow model is tried in less company."""
EXAMPLES = 4
"""Rows of golden examples."""
CLOSE = 1e-3
"""Part of the largest number of an answer by which it may differ: many rows are added up in another order than one."""
ROUGH = 1e-2
"""The same in half precision."""
OPEN = 4
"""A size that the signature leaves open."""
HUGE, TINY = 3e4, 1e-6
"""Magnitudes that half precision holds too."""
TEXTS = ("", "a", "several words, with a comma", "ÄÖ", "1")

Arrays = Mapping[str, Any]
Run = Callable[[Arrays], Arrays]


def refuted(run: Run, manifest: ModelManifest, examples: Sequence[Arrays]) -> str:
    """Say what shows that rows are not independent; "" if nothing does.

    Args:
        run: computes the model's outputs.
        manifest: of a model all of whose inputs take any number of rows.
        examples: inputs of the golden examples, of any number of rows each.
    """
    deadline = time.monotonic() + SECONDS
    rows = [{name: array[i : i + 1] for name, array in one.items()} for one in examples for i in range(_count(one))]
    alone = list(_computed(run, [*rows[:EXAMPLES], *_usual(manifest)]))
    if not alone:
        return "no row could be computed to try it; add golden examples with inputs"
    for company, row in _hostile(manifest, alone[0][0]):
        if time.monotonic() > deadline:
            break
        if list(_computed(run, [row])):
            shown = _in_company(run, alone, row) or _in_company(run, alone, row, last=True)
            if shown:
                return shown.format(company=company)
    return ""


def _in_company(run: Run, alone: Sequence[tuple[Arrays, Arrays]], row: Arrays, *, last: bool = False) -> str:
    """Compute rows whose answers are known beside one more, which comes first or last."""
    import numpy as np

    usual = [one for one, _ in alone]
    group = [*usual, row] if last else [row, *usual]
    try:
        outputs = run({name: np.concatenate([one[name] for one in group]) for name in row})
    except Exception:
        return "a row {company} cannot be computed beside others, while each of them can be alone"
    for i, (_, expected) in enumerate(alone, 0 if last else 1):
        for name, array in expected.items():
            given = outputs[name]
            if given.shape[:1] != (len(group),) or not _equal(array, given[i : i + 1]):
                return f"its output {name} for a row is another when a row {{company}} is computed beside it"
    return ""


def _count(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))


def _computed(run: Run, rows: Sequence[Arrays]) -> Iterator[tuple[Arrays, Arrays]]:
    """Yield the rows that the model takes, of one form, with their answers."""
    form = None
    for row in rows:
        shapes = {name: array.shape for name, array in row.items()}
        if form in (None, shapes):
            with contextlib.suppress(Exception):  # not a row for this model
                answer = run(row)
                form = shapes
                yield row, answer


def _usual(manifest: ModelManifest) -> Iterator[Arrays]:
    import numpy as np

    numbers = np.random.default_rng(0)
    for make in (
        lambda size: np.zeros(size),
        lambda size: numbers.random(size),
        lambda size: numbers.standard_normal(size),
    ):
        yield {tensor.name: _array(tensor, _size(tensor, manifest), make) for tensor in manifest.inputs}


def _hostile(manifest: ModelManifest, like: Arrays) -> Iterator[tuple[str, Arrays]]:
    import numpy as np

    numbers = np.random.default_rng(1)

    def spike(size: tuple[int, ...]) -> Any:
        array = np.zeros(size)
        array.reshape(-1)[0] = HUGE
        return array

    makers: dict[str, Callable[[tuple[int, ...]], Any]] = {
        "of large numbers": lambda size: np.full(size, HUGE),
        "of large numbers below 0": lambda size: np.full(size, -HUGE),
        "of one large number among zeros": spike,
        "of large numbers of both signs": lambda size: numbers.standard_normal(size) * HUGE / 8,
        "of tens": lambda size: numbers.standard_normal(size) * 10,
        "of tiny numbers": lambda size: numbers.standard_normal(size) * TINY,
        "of zeros": lambda size: np.zeros(size),
        "of ones": lambda size: np.ones(size),
        "of missing numbers": lambda size: np.full(size, np.nan),
    }
    for company, make in makers.items():
        yield company, {tensor.name: _array(tensor, like[tensor.name].shape, make) for tensor in manifest.inputs}


def _size(tensor: Tensor, manifest: ModelManifest) -> tuple[int, ...]:
    if manifest.image:
        return (1, *manifest.image.shape)
    return (1, *(OPEN if size == -1 else size for size in tensor.shape[1:]))


def _array(tensor: Tensor, size: tuple[int, ...], make: Callable[[tuple[int, ...]], Any]) -> Any:
    import numpy as np

    values = make(size)
    dtype = np.dtype(DATATYPES[tensor.datatype])
    if tensor.datatype == "BYTES":
        return np.array([TEXTS[int(abs(value)) % len(TEXTS)] for value in np.nan_to_num(values).flat], object).reshape(
            size
        )
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return np.clip(np.nan_to_num(values), *limits).astype(dtype)


def _equal(alone: Any, together: Any) -> bool:
    import numpy as np

    if alone.shape != together.shape:
        return False
    if alone.dtype.kind != "f":
        return bool(np.array_equal(alone, together))
    rough = ROUGH if alone.dtype == np.float16 else CLOSE
    wanted, got = alone.astype(np.float64), together.astype(np.float64)
    largest = float(np.max(np.abs(wanted), initial=0.0, where=np.isfinite(wanted)))
    return bool(np.allclose(got, wanted, rough, rough * largest, equal_nan=True))
