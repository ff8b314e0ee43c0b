"""The pictures of golden examples, from the model repository, as far as they are at hand."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

from nightferry.clients import connect
from nightferry.entities.decision import Decision
from nightferry.entities.judging.prediction_diff import AnswerChange
from nightferry.errors import NightferryError
from nightferry.settings import Settings


def golden_pictures(settings: Settings, decision: Decision, changes: Iterable[AnswerChange]) -> dict[str, bytes]:
    """Of each change of a golden picture its bytes, where they are the ones that were asked; what cannot be had is
    left out, since the figures are worth a page without it."""
    wanted = {one.name: one.sha256 for one in changes if one.source == "golden" and "." in one.name}
    spec = decision.service_spec
    if not wanted or spec is None:
        return {}
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "picture"
        try:
            models = connect.models(settings, spec.model)
            for name, sha256 in wanted.items():
                models.download(decision.candidate.model, name, target)
                data = target.read_bytes()
                if hashlib.sha256(data).hexdigest() == sha256:
                    found[name] = data
        except (NightferryError, OSError):
            return found
    return found
