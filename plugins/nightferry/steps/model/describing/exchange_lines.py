"""Golden examples of a model that only its app opens: JSON lines, an HTTP exchange each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nightferry.steps.model.describing.examples import json_lines, text_of, wrong
from nightferry.steps.model.golden_exchanges import exchange_of
from nightferry.steps.model.model_folder import MOST_GOLDEN

FORM = (
    '{"request": {"post": "/predict", "json": {"rows": [{"plan": "pro", "months": 2}]}}, '
    '"answer": {"json": {"churn": [0.11]}}}'
)


def read_exchange_lines(path: Path) -> list[dict[str, Any]]:
    """Read examples, as model.json lists them.

    Args:
        path: a file, `*.jsonl` as a rule.

    Raises:
        Permanent: (model_examples_wrong: with file and line)
    """
    if path.is_dir() or path.suffix.lower() == ".csv":
        what = "a folder" if path.is_dir() else "CSV"
        raise wrong(
            f"{path} is {what}, and only the app knows how it is asked; give JSON lines, an exchange on each, such as "
            f"{FORM}"
        )
    return checked((row, where) for where, row in json_lines(path, text_of(path), missing=False)) or _none(path)


def checked(examples: Iterable[tuple[Any, str]]) -> list[dict[str, Any]]:
    """Exchanges, each with the place that it is from; each has an answer.

    Raises:
        Permanent: (model_examples_wrong)
    """
    found = []
    for value, where in examples:
        if not isinstance(value, dict) or "request" not in value:
            raise wrong(f"{where} is no exchange with the app; give one such as {FORM}")
        exchange_of(value, where)
        if not value.get("answer"):
            raise wrong(f"{where} has no answer, and only the app knows; write the answer")
        found.append(value)
        if len(found) > MOST_GOLDEN:
            raise wrong(f"{where} is one more than the {MOST_GOLDEN} examples that are allowed")
    return found


def as_lines(examples: Iterable[Any]) -> str:
    """Exchanges of a notebook as JSON lines.

    Raises:
        Permanent: (model_examples_wrong)
    """
    listed = checked((value, f"examples[{number}]") for number, value in enumerate(examples))
    lines = []
    for number, value in enumerate(listed):
        try:
            lines.append(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as fault:
            raise wrong(f"examples[{number}] holds what JSON does not have: {fault}") from fault
    if not lines:
        raise wrong("There are no examples")
    return "".join(f"{line}\n" for line in lines)


def _none(path: Path) -> list[dict[str, Any]]:
    raise wrong(f"{path} has no examples")
