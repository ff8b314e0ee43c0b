"""What `nightferry models publish` is told of a model that has no model.json."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from nightferry.cli.arguments import Parser
from nightferry.entities.model_version import MANIFEST
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.describing.said import Said, checked_labels, checked_metrics

OPTIONS = ("metric", "metrics", "labels", "scores", "image", "examples", "answer", "version", "author", "dry_run")


def add_arguments(parser: Parser) -> None:
    """Add them."""
    given = parser.add_argument_group(f"of a model without {MANIFEST}")
    given.add_argument(
        "--metric", metavar="NAME=NUMBER", action="append", type=_metric, help="what was measured; repeatable"
    )
    given.add_argument("--metrics", metavar="FILE", type=Path, help="a JSON object of what was measured")
    given.add_argument(
        "--examples",
        metavar="PATH",
        type=Path,
        help="JSON lines, CSV, or pictures named by label",
    )
    given.add_argument("--answer", metavar="COLUMN", help="of the examples, the column with the label (label)")
    given.add_argument("--labels", metavar="A,B,…", help="names of the classes, in the order of the scores")
    given.add_argument("--scores", choices=("probabilities", "logits"), help="what the scores are (probabilities)")
    given.add_argument("--image", metavar="JSON", help='how a picture becomes the input: {"width": 224, …}, or a file')
    given.add_argument("--version", metavar="NAME", help="name of the version (the day and what is in it)")
    given.add_argument("--author", metavar="NAME", help="who made it (you)")
    given.add_argument("--dry-run", action="store_true", help=f"print the {MANIFEST}, and publish nothing")


def refuse_beside_manifest(arguments: argparse.Namespace) -> None:
    """Refuse what model.json says already.

    Raises:
        Permanent: (model_manifest_invalid)
    """
    given = [name for name in OPTIONS if getattr(arguments, name)]
    if given:
        raise Permanent(
            Reason.MODEL_MANIFEST_INVALID,
            f"{arguments.path / MANIFEST} describes the model, so --{given[0].replace('_', '-')} is not for it.",
        )


def said(arguments: argparse.Namespace) -> Said:
    """What was given.

    Raises:
        Permanent: (model_manifest_invalid: metrics or image are not as they should be)
    """
    metrics = _object(arguments.metrics.name, _text(arguments.metrics)) if arguments.metrics else {}
    metrics |= dict(arguments.metric or ())
    return Said(
        metrics=checked_metrics(metrics),
        labels=checked_labels(arguments.labels.split(",")) if arguments.labels else (),
        scores=arguments.scores,
        image=_image(arguments.image),
        examples=arguments.examples,
        answer=arguments.answer,
        version=arguments.version,
        author=arguments.author,
    )


def _metric(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not written as auc=0.91")
    return name, value


def _image(given: str | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return _object("--image", given if given.lstrip().startswith("{") else _text(Path(given)))


def _object(what: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Permanent(Reason.MODEL_MANIFEST_INVALID, f"{what} is not a JSON object.")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise Permanent(Reason.MODEL_MANIFEST_INVALID, f"{path} cannot be read as text.") from fault
