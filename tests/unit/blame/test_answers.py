"""What images answer to the same questions, one after the other, and how that is compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightferry import deployer
from nightferry.entities.app.contract import AppContract
from nightferry.steps.judging.answers import Answers, Row, flips_between

from tests.fakes.scripted_app import ScriptedApp


def answers(*labels: str | None) -> Answers:
    return Answers(answers=tuple(None if one is None else (Row(label=one, tolerance=0.01),) for one in labels))


def test_another_class_and_a_lost_answer_are_flips_and_what_was_never_answered_is_none() -> None:
    found = flips_between(answers("1", "2", "3", None), answers("1", "7", None, "4"))
    assert (found.answered, found.flipped) == (3, 2)


def test_documents_are_compared_by_their_numbers() -> None:
    def document(value: float) -> Answers:
        return Answers(answers=((Row(label="status 200", document={"y": [value]}, tolerance=0.01),),))

    assert flips_between(document(0.5), document(0.501)).flipped == 0
    assert flips_between(document(0.5), document(0.7)).flipped == 1


def test_few_answers_are_no_judgement() -> None:
    assert not flips_between(answers(*"123"), answers(*"123")).judged
    assert flips_between(answers(*"1" * 10), answers(*"2" * 10)).percent == 100


