"""What images answer to the same questions, one after the other, and how that is compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nightferry import deployer
from nightferry.entities.app.contract import AppContract
from nightferry.steps.judging.answers import Answers, Row, flips_between

from tests.fakes.scripted_app import served


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


def test_the_prober_tells_in_its_last_line_what_an_app_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another model's golden examples and the app's checks are asked; what is not answered is null."""
    request = {"post": "/predict", "json": {"rows": [1]}}
    golden = [{"request": request, "answer": {"status": 200, "at": "label", "label": "yes"}}]
    manifest = {
        "format": "files",
        "service": "churn",
        "version": "two",
        "created": "2026-11-21T00:00:00Z",
        "author": "ana",
        "files": [{"name": "model.bin", "size": 1, "sha256": "a" * 64}],
        "metrics": {},
    }
    for name, examples in (("own", []), ("asked", golden)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.json").write_text(json.dumps(manifest | {"golden": examples}))
    checks = [{"request": {"get": "/sum"}, "answer": {"status": 200}}]
    app = AppContract(ready="/ready", live="/live", version=None)
    words = ["answer", "--model", str(tmp_path / "own"), "--asked", str(tmp_path / "asked")]
    words += ["--checks", json.dumps(checks), "--app", app.model_dump_json()]
    with served() as there:
        there.says("/ready", "ok")
        there.says("/predict", {"label": "no"})
        there.answers["/sum"] = (0, b"", {})
        assert deployer.main([*words, "--address", there.address]) == 0
    found = Answers.model_validate_json(capsys.readouterr().out.strip().rpartition("\n")[2])
    assert [one and [row.label for row in one] for one in found.answers] == [None, ["no"]]


def test_a_service_that_never_gets_ready_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = {"format": "files", "service": "churn", "version": "v", "created": "2026-11-21T00:00:00Z"}
    more = {"author": "a", "files": [{"name": "m", "size": 1, "sha256": "a" * 64}], "metrics": {}}
    (tmp_path / "model.json").write_text(json.dumps(manifest | more))
    words = ["answer", "--model", str(tmp_path), "--asked", str(tmp_path), "--address", "http://127.0.0.1:9"]
    assert deployer.main([*words, "--ready-seconds", "0"]) == 0
    assert "was not ready within 0 s" in json.loads(capsys.readouterr().out.strip())["trouble"]
