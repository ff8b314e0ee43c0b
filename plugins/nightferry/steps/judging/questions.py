"""What two releases are asked to compare their answers, and what they say: by the Open Inference Protocol, or as an
app's exchanges have it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nightferry.clients.service_client import Answer, ServiceClient
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.judging.prediction_diff import Source
from nightferry.entities.model_version import FILES, ModelManifest
from nightferry.steps.judging.exchanges import send
from nightferry.steps.judging.golden_examples import TOLERANCE, outputs_of
from nightferry.steps.judging.json_difference import at_path, label_of


class NoAnswer(Exception):
    """The release did not answer what was asked; the text says how, and holds nothing of what was asked."""


@dataclass(frozen=True)
class Side:
    """One of the two releases."""

    client: ServiceClient
    manifest: ModelManifest
    """Of its model: how it is asked, and what its scores are called."""


@dataclass(frozen=True)
class Said:
    """The answer to one row."""

    label: str
    """The class; of an answer without classes, its status."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """By class, 0 to 1."""
    document: Any = None
    """The answer itself where there is no class; such answers are compared by their values."""
    tolerance: float = TOLERANCE


class Question(Protocol):
    """What both are asked."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def source(self) -> Source:
        """Where it comes from."""
        ...

    @property
    def sha256(self) -> str:
        """Of what is asked; empty where nothing is to be told of that."""
        ...

    def ask(self, side: Side) -> Answer:
        """Ask one of the two. Raises Unanswered, and NoAnswer where it cannot be asked this."""
        ...

    def read(self, side: Side, answer: Answer) -> Sequence[Said]:
        """What it said, one for each row. Raises NoAnswer."""
        ...


@dataclass(frozen=True)
class Inference:
    """An infer request."""

    name: str
    source: Source
    inputs: Sequence[Mapping[str, Any]]
    sha256: str = ""

    def ask(self, side: Side) -> Answer:
        """POST …/infer."""
        if side.manifest.format == FILES:
            raise NoAnswer("it takes no infer requests")
        return side.client.post(f"/v2/models/{side.manifest.service}/infer", {"inputs": self._named(side.manifest)})

    def _named(self, manifest: ModelManifest) -> Sequence[Mapping[str, Any]]:
        """A picture is for the model's one input, whatever that is called."""
        if len(self.inputs) == 1 and manifest.image and self.inputs[0].get("datatype") == "BYTES":
            return [{**self.inputs[0], "name": manifest.image.input}]
        return self.inputs

    def read(self, side: Side, answer: Answer) -> Sequence[Said]:
        """The class and scores of each row; of a model without classes all outputs together."""
        if answer.status != 200:
            raise NoAnswer(f"status {answer.status}")
        manifest = side.manifest
        outputs = outputs_of(answer)
        if not manifest.labels:
            return [Said("an answer", document=outputs)]
        scores = outputs.get(manifest.scored.name)
        if not scores or not all(_is_finite(score) for score in scores):
            raise NoAnswer("no scores")
        return [_classified(manifest, row) for row in _rows(manifest, scores)]


@dataclass(frozen=True)
class Call:
    """An exchange with an app."""

    name: str
    source: Source
    exchange: Exchange

    @property
    def sha256(self) -> str:
        """Of the request."""
        return _sha256(self.exchange.request.model_dump(mode="json"))

    def ask(self, side: Side) -> Answer:
        """Ask as the exchange says."""
        return send(side.client, self.exchange.request)

    def read(self, side: Side, answer: Answer) -> Sequence[Said]:
        """The label where the exchange has one, else the whole answer."""
        expected = self.exchange.answer
        if answer.status >= 500 and answer.status != expected.status:
            raise NoAnswer(f"status {answer.status}")
        try:
            document = json.loads(answer.text)
        except (ValueError, RecursionError):
            document = answer.text
        if expected.label is not None and answer.status == expected.status:
            label = label_of(at_path(document, expected.at), expected.label)
            return [Said("no label" if label is None else label)]
        return [Said(f"status {answer.status}", document=document, tolerance=expected.tolerance)]


def golden_questions(
    manifest: ModelManifest, folder: Path, checks: Sequence[Exchange] = (), most: int = 500
) -> list[Question]:
    """What the candidate's golden examples and the checks of its app ask; of too many an even choice.

    Raises:
        OSError: an example's file cannot be read.
    """
    examples = list(enumerate(manifest.golden))
    step = max(1, math.ceil(len(examples) / most))
    questions: list[Question] = [Call(f"check {n}", "check", exchange) for n, exchange in enumerate(checks)]
    for number, example in examples[::step]:
        name = f"golden example {number}"
        if "request" in example:
            questions.append(Call(name, "golden", Exchange.model_validate(example)))
        elif "image" in example:
            questions.append(_picture(folder, str(example["image"])))
        elif "inputs" in example:
            questions.append(Inference(name, "golden", example["inputs"], _sha256(example["inputs"])))
    return questions


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _picture(folder: Path, name: str) -> Inference:
    data = (folder / name).read_bytes()
    tensor = {"name": "", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(data).decode()]}
    return Inference(name, "golden", [tensor], hashlib.sha256(data).hexdigest())


def _rows(manifest: ModelManifest, scores: Sequence[float]) -> list[Sequence[float]]:
    labels = len(manifest.labels)
    alone = labels == 2 and _scores_in_a_row(manifest) == 1
    size = 1 if alone else labels
    if len(scores) % size:
        raise NoAnswer("scores for other classes")
    return [scores[start : start + size] for start in range(0, len(scores), size)]


def _scores_in_a_row(manifest: ModelManifest) -> int:
    return math.prod(manifest.scored.shape[1:])


def _classified(manifest: ModelManifest, row: Sequence[float]) -> Said:
    """The class of a row, with probabilities as the service computes them of what the model gives."""
    if len(row) == 1:  # how sure the model is of the second class
        second = (1 + math.tanh(row[0] / 2)) / 2 if manifest.scores == "logits" else row[0]
        row = [1 - second, second]
    elif manifest.scores == "logits":
        powers = [math.exp(value - max(row)) for value in row]
        row = [value / sum(powers) for value in powers]
    best = max(range(len(row)), key=row.__getitem__)
    return Said(manifest.labels[best], dict(zip(manifest.labels, row, strict=True)))


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
