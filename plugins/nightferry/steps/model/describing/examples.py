"""Examples as people have them, JSON lines, CSV or a folder of pictures, as a model's golden examples."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightferry.entities.model_version import Tensor
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.model_folder import MOST_GOLDEN

LABEL = "label"
LONGEST_CELL = 16 * 1024 * 1024
"""Characters; a request's body is no longer."""
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"))
TRUE, FALSE = frozenset(("true", "1", "yes")), frozenset(("false", "0", "no"))


@dataclass(frozen=True)
class Examples:
    """Golden examples, as model.json lists them; one without `label` or `outputs` has no answer yet."""

    golden: tuple[dict[str, Any], ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    """The pictures that they name: name in the version's folder -> where it is now."""
    unused: str = ""
    """The column of answers, where the model has no labels that they could be compared with."""


def read_examples(path: Path, inputs: Sequence[Tensor], *, labelled: bool, answer: str | None = None) -> Examples:
    """Read examples.

    A row is one column for each input, or, of a model with one input of several numbers, one column for each number in
    their order; the column `answer` has the label that the model should give. A line of JSON may also be a request of
    the Open Inference Protocol: `{"inputs": […], "label": "yes"}`. Pictures are named by their label, `7-a.png`, or lie
    in a folder of that name.

    Args:
        path: `*.csv`, `*.jsonl` (or `*.ndjson`, `*.json`), or a folder of pictures.
        inputs: the model's.
        labelled: whether the model has labels; without, the column `answer` says nothing that could be compared.
        answer: the name of that column, which then has to be there; None: `label`, if it is.

    Raises:
        Permanent: (model_examples_wrong: with file, line and column)
    """
    if path.is_dir():
        return _pictures(path)
    text = text_of(path)
    rows = list(_csv(path, text) if path.suffix.lower() == ".csv" else json_lines(path, text))
    column = answer or LABEL
    found = any(column in row for _, row in rows)
    if answer and not found:
        raise wrong(f"{path} has no column {answer}")
    golden = tuple(_example(where, row, inputs, column, labelled=labelled) for where, row in _in_order(rows, column))
    if not golden:
        raise wrong(f"{path} has no examples")
    if len(golden) > MOST_GOLDEN:
        raise wrong(f"{path} has {len(golden)} examples; {MOST_GOLDEN} are allowed")
    names = {tensor.name for tensor in inputs}
    return Examples(golden, unused=column if found and not labelled and column not in names else "")


def text_of(path: Path) -> str:
    """A file of examples.

    Raises:
        Permanent: (model_examples_wrong) it cannot be read as text.
    """
    if path.exists() and not path.is_file():
        raise wrong(f"{path} is neither a file nor a folder")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        why = "is not UTF-8 text" if isinstance(fault, UnicodeDecodeError) else f"cannot be read ({fault.strerror})"
        raise wrong(f"{path} {why}") from fault


def _in_order(rows: Sequence[tuple[str, dict[str, Any]]], column: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows with their columns in the order of the first one's: JSON objects may have another one each."""
    first = [name for name in rows[0][1] if name != column] if rows else []
    for where, row in rows:
        same = {name for name in row if name != column} == set(first)
        yield where, {name: row[name] for name in (*first, column) if name in row} if same else row


def wrong(fact: str) -> Permanent:
    """The failure of examples that cannot be taken."""
    return Permanent(Reason.MODEL_EXAMPLES_WRONG, f"{fact}.")


def _csv(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = reader.fieldnames or []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise wrong(f"{path} has the column {twice[0]} twice")
    try:
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise wrong(f"{where} does not have {len(names)} columns, as the first line has")
            yield where, row
    except csv.Error as fault:
        raise wrong(f"{path}, line {reader.line_num} is not CSV: {fault}") from fault


def json_lines(path: Path, text: str, *, missing: bool = True) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each object is, and the object.

    Args:
        path: the file, for what is said.
        text: its text.
        missing: whether NaN is taken, as a missing value.

    Raises:
        Permanent: (model_examples_wrong) a line is no JSON object.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line, parse_constant=_missing if missing else _no_json)
            json.dumps(row, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        except (ValueError, RecursionError) as fault:
            raise wrong(f"{where} is not JSON; give an object on each line") from fault
        if not isinstance(row, dict):
            raise wrong(f"{where} is not a JSON object")
        yield where, row


def _missing(_: str) -> None:
    """NaN, as pandas writes a missing value."""


def _no_json(constant: str) -> None:
    raise ValueError(constant)


def _example(
    where: str, row: dict[str, Any], inputs: Sequence[Tensor], answer: str, *, labelled: bool
) -> dict[str, Any]:
    if isinstance(row.get("inputs"), list) and all(isinstance(each, dict) for each in row["inputs"]):
        unknown = row.keys() - {"inputs", "label", "outputs"}
        if unknown:
            raise wrong(f"{where}: {min(unknown)} is not known beside inputs; there are label and outputs")
        return row
    values = {name: value for name, value in row.items() if name != answer or answer in {one.name for one in inputs}}
    example: dict[str, Any] = {"inputs": _tensors(where, values, inputs)}
    if labelled and answer not in values and row.get(answer) not in (None, ""):
        example["label"] = str(row[answer])
    return example


def _tensors(where: str, values: Mapping[str, Any], inputs: Sequence[Tensor]) -> list[dict[str, Any]]:
    if values.keys() == {tensor.name for tensor in inputs}:
        return [_tensor(tensor, [_value(where, tensor, tensor.name, values[tensor.name])]) for tensor in inputs]
    width = inputs[0].shape[-1] if len(inputs) == 1 and len(inputs[0].shape) == 2 else 0
    if width in (-1, len(values)) and values:
        return [_tensor(inputs[0], [_value(where, inputs[0], name, value) for name, value in values.items()])]
    wanted = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in inputs)
    raise wrong(f"{where} has the columns {', '.join(values)}, and the model's inputs are {wanted}")


def _tensor(tensor: Tensor, data: list[Any]) -> dict[str, Any]:
    flat = [item for value in data for item in (value if isinstance(value, list) else [value])]
    shape = [1, len(flat)] if len(tensor.shape) == 2 else [1, *tensor.shape[1:]]
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": flat}


def _value(where: str, tensor: Tensor, column: str, value: Any) -> Any:
    """A cell as its input's datatype has it; an empty one is a missing value, or an empty text."""
    if not isinstance(value, str) or tensor.datatype == "BYTES":
        return value
    text = value.strip()
    try:
        if tensor.datatype == "BOOL":
            return {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}[text.lower()]
        if tensor.datatype.startswith("FP"):
            number = float(text) if text and text.lower() not in ("nan", "na", "null") else None
            if number is not None and not math.isfinite(number):
                raise ValueError
            return number
        return int(text)
    except (ValueError, KeyError) as fault:
        raise wrong(f"{where}, column {column}: {value!r} is not {tensor.datatype}") from fault


def _is_picture(path: Path, folder: Path) -> bool:
    """Hidden files and folders are editors' and systems' own."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in PICTURES and not hidden and path.is_file()


def _pictures(folder: Path) -> Examples:
    golden, files = [], {}
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if _is_picture(path, folder))):
        label = path.parent.name if path.parent != folder else re.split(r"[-_.]", path.name)[0]
        readable = re.sub(r"[^A-Za-z0-9]+", "-", label).strip("-") or "picture"
        name = f"golden/{number}-{readable}{path.suffix.lower()}"
        files[name] = path
        golden.append({"image": name, "label": label})
    if not golden:
        raise wrong(f"{folder} has no pictures ({', '.join(sorted(PICTURES))})")
    return Examples(tuple(golden), files)
