"""`new_settings`: what reaches pods and Services was changed in the service file; the same image is rolled out."""

from __future__ import annotations

from typing import Any

from nightferry.entities.barring.quarantine import reaching
from nightferry.entities.reason import Reason
from nightferry.steps.deciding.rules.question import Question, Word


def new_settings(question: Question) -> Word | None:
    """Roll the image in use out again, where its environments are described otherwise than when it was decided."""
    before = question.before.service_spec if question.before else None
    if before is None or question.image is None:
        return None
    changed = differences(reaching(before), reaching(question.spec))
    if not changed:
        return None
    return Word(
        True,
        Reason.NEW_SETTINGS,
        f"New settings ({', '.join(changed)}); image, model and source are those of {question.in_use}.",
        image=question.image,
    )


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The keys whose values differ, in order. A key that only one version of Nightferry knows does not count."""
    known = [key for key in now if key in before or key.partition(".")[0] not in _environments(before)]
    gone = [f"{name} is gone" for name in sorted(_environments(before) - _environments(now))]
    return [key for key in known if key not in before or before[key] != now[key]] + gone


def _environments(settings: dict[str, Any]) -> set[str]:
    return {key.partition(".")[0] for key in settings}
