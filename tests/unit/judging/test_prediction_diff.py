"""Two releases are asked the same in turn, and what differs is counted, named and bounded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nightferry.clients.service_client import ServiceClient
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.judging.prediction_diff import PredictionDiff
from nightferry.entities.ledger_entry import canonical
from nightferry.entities.model_version import ModelManifest, parse_manifest
from nightferry.steps.judging.prediction_diff import LARGEST, compare_predictions, p95
from nightferry.steps.judging.questions import Call, Inference, Question, Side, golden_questions

from tests.fakes import golden_models
from tests.fakes.scripted_app import Asked, Said, ScriptedApp, served
from tests.fakes.still_clock import StillClock

INFER = "/v2/models/shades/infer"
NAMES = ("shades-1", "shades-2")
Answerer = Callable[[list[float]], Any]


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def apps() -> Iterator[tuple[ScriptedApp, ScriptedApp]]:
    """The one in use, and the candidate."""
    with served() as in_use, served() as candidate:
        yield in_use, candidate


@pytest.fixture
def manifest(tmp_path: Path) -> ModelManifest:
    return golden_models.write_shades(tmp_path / "v1")


def told(app: ScriptedApp, scores: Callable[[float], Sequence[Any]], clock: StillClock, seconds: float = 0.01) -> None:
    """Answer each row by its first number, after so many seconds."""

    def answer(asked: Asked) -> Said:
        clock.advance(seconds)
        data = json.loads(asked.body)["inputs"][0]["data"]
        rows = [data[start] for start in range(0, len(data), 4)]
        flat = [score for row in rows for score in scores(row)]
        output = {"name": "scores", "datatype": "FP32", "shape": [len(rows), 3], "data": flat}
        return 200, json.dumps({"outputs": [output]}).encode(), {}

    app.answers[INFER] = answer


def question(number: int, *rows: float, source: Any = "recorded") -> Inference:
    data = [row for row in rows or (number,) for _ in range(4)]
    tensor = {"name": "image", "datatype": "FP32", "shape": [len(data) // 4, 4], "data": data}
    return Inference(f"{source} {number}", source, [tensor])


def compared(
    apps: tuple[ScriptedApp, ScriptedApp],
    manifest: ModelManifest,
    clock: StillClock,
    questions: Sequence[Question],
    theirs: ModelManifest | None = None,
    seconds: float = 60.0,
    pairs: int = 0,
) -> PredictionDiff:
    in_use, candidate = (ServiceClient(app.address) for app in apps)
    sides = Side(in_use, theirs or manifest), Side(candidate, manifest)
    return compare_predictions(questions, *sides, clock, names=NAMES, seconds=seconds, pairs=pairs)


def dark(_: float) -> list[float]:
    return [0.8, 0.15, 0.05]


def light(_: float) -> list[float]:
    return [0.1, 0.2, 0.7]


def test_the_same_answers_are_no_flips(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    for app in apps:
        told(app, dark, clock)
    diff = compared(apps, manifest, clock, [question(n) for n in range(12)])
    assert (diff.compared, diff.flips, diff.lost, diff.flip_percent) == (12, 0, 0, 0.0)
    assert (diff.classes, diff.largest, diff.not_comparable) == ((), (), {})
    assert (diff.in_use, diff.candidate) == NAMES


def test_flips_are_counted_by_class_and_the_largest_changes_named(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    told(apps[0], dark, clock)
    told(apps[1], lambda row: light(row) if row < 3 else [0.7, 0.2, 0.1] if row < 5 else dark(row), clock)
    diff = compared(apps, manifest, clock, [question(n) for n in range(20)])
    assert (diff.compared, diff.flips, diff.flip_percent) == (20, 3, 15.0)
    assert [(one.before, one.after, one.count) for one in diff.classes] == [("dark", "light", 3)]
    largest = [(one.name, one.before, one.after, one.difference) for one in diff.largest]
    assert largest[:3] == [(f"recorded {n}", "dark", "light", 0.7) for n in range(3)]
    assert largest[3:] == [(f"recorded {n}", "dark", "dark", 0.1) for n in (3, 4)]
    assert (diff.largest[0].score_before, diff.largest[0].score_after) == (0.8, 0.7)


def test_each_row_of_a_request_counts(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    told(apps[0], dark, clock)
    told(apps[1], lambda row: light(row) if row == 2 else dark(row), clock)
    diff = compared(apps, manifest, clock, [question(0, 1.0, 2.0, 3.0)])
    assert (diff.compared, diff.flips) == (3, 1)
    assert diff.largest[0].name == "recorded 0, row 1"


def test_what_the_candidate_no_longer_answers_is_lost_and_counts_as_a_flip(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    told(apps[0], dark, clock)
    apps[1].says(INFER, {"detail": "inputs[0].data is 4711"}, status=400)
    diff = compared(apps, manifest, clock, [question(n, source="recorded") for n in range(10)])
    assert (diff.compared, diff.lost, diff.flip_percent) == (0, 10, 100.0)
    assert [(one.before, one.after, one.count) for one in diff.classes] == [("dark", "no answer (status 400)", 10)]
    assert "4711" not in json.dumps(diff.to_json())
    assert diff.latency is None


def test_scores_that_are_no_numbers_are_no_answer(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    told(apps[0], dark, clock)
    told(apps[1], lambda row: ["NaN", 0.1, 0.2], clock)
    assert compared(apps, manifest, clock, [question(0)]).lost == 1


def test_what_the_one_in_use_does_not_answer_cannot_be_compared(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    apps[0].says(INFER, "", status=500)
    told(apps[1], dark, clock)
    diff = compared(apps, manifest, clock, [question(n) for n in range(3)])
    assert (diff.compared, diff.lost) == (0, 0)
    assert diff.not_comparable == {"the one in use gave no answer": 3}
    apps[1].says(INFER, "", status=500)
    assert compared(apps, manifest, clock, [question(0)]).not_comparable == {"neither answered": 1}


def test_a_broken_connection_or_a_busy_moment_is_asked_again(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    told(apps[0], dark, clock)
    told(apps[1], dark, clock)
    answer = apps[1].answers[INFER]
    first: Iterator[Said | None] = iter([(0, b"", {}), None, (503, b"", {}), None])
    apps[1].answers[INFER] = lambda asked: next(first, None) or answer(asked)  # type: ignore[operator]
    diff = compared(apps, manifest, clock, [question(0), question(1)])
    assert (diff.compared, diff.lost) == (2, 0)


def test_who_is_asked_first_changes_and_one_is_asked_at_a_time(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    order: list[int] = []
    for which, app in enumerate(apps):
        told(app, dark, clock)
        answer = app.answers[INFER]
        app.answers[INFER] = lambda asked, w=which, a=answer: (order.append(w), a(asked))[1]  # type: ignore[misc]
    compared(apps, manifest, clock, [question(n) for n in range(4)])
    assert order[:8] == [0, 1, 1, 0, 0, 1, 1, 0]


def test_times_are_of_pairs_and_their_ratio_is_that_of_the_services(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    told(apps[0], dark, clock, 0.010)
    told(apps[1], dark, clock, 0.020)
    diff = compared(apps, manifest, clock, [question(n) for n in range(5)], pairs=40)
    assert diff.latency is not None
    assert diff.latency.pairs == 40
    assert (diff.latency.in_use_p95, diff.latency.candidate_p95) == pytest.approx((10, 20), abs=0.01)
    assert diff.latency.ratio == pytest.approx(2, abs=0.01)


def test_one_slow_answer_of_a_hundred_is_not_the_95th_percentile() -> None:
    assert p95([1.0] * 95 + [9.0] * 5) == 1.0
    assert p95([1.0] * 94 + [9.0] * 6) == 9.0
    assert p95([3.0]) == 3.0


def test_it_ends_in_its_time_and_says_what_was_not_asked(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    for app in apps:
        told(app, dark, clock, 1.0)
    diff = compared(apps, manifest, clock, [question(n) for n in range(100)], seconds=20)
    assert diff.compared == 10
    assert diff.not_comparable == {"not asked, since the time was over": 90}
    assert diff.seconds <= 22


def test_the_report_is_bounded_whatever_differs(
    apps: tuple[ScriptedApp, ScriptedApp], tmp_path: Path, clock: StillClock
) -> None:
    labels = [f"{'very ' * 200}long label {n}" for n in range(300)]
    document = json.loads((golden_models.write_shades(tmp_path / "w"), (tmp_path / "w/model.json").read_text())[1])
    document |= {"labels": labels, "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 300]}]}
    many = parse_manifest(json.dumps(document).encode())

    def at(place: int) -> list[float]:
        return [float(n == place % 300) for n in range(300)]

    told(apps[0], lambda row: at(int(row)), clock)
    told(apps[1], lambda row: at(int(row) + 1), clock)
    diff = compared(apps, many, clock, [question(n) for n in range(300)], seconds=600)
    assert diff.flips == 300
    assert sum(one.count for one in diff.classes) + diff.other_flips == 300
    assert len(diff.largest) == LARGEST
    assert len(canonical(diff.to_json())) < 16_000


def test_each_side_is_asked_and_read_as_its_own_model_has_it(
    apps: tuple[ScriptedApp, ScriptedApp], tmp_path: Path, clock: StillClock
) -> None:
    """Other labels, logits, and another name of the picture's input."""
    ours = golden_models.write_shades(tmp_path / "ours")
    golden_models.write_shades(tmp_path / "theirs")
    document = json.loads((tmp_path / "theirs" / "model.json").read_text())
    document |= {"labels": ["light", "dark"], "scores": "logits"}
    document["inputs"][0]["name"] = document["image"]["input"] = "photo"
    document["outputs"] = [{"name": "confidence", "datatype": "FP32", "shape": [-1, 1]}]
    theirs = parse_manifest(json.dumps(document).encode())
    asked: list[Any] = []

    def answer(name: str, scores: list[float]) -> Callable[[Asked], Said]:
        def say(request: Asked) -> Said:
            clock.advance(0.01)
            asked.append(json.loads(request.body)["inputs"][0]["name"])
            return 200, json.dumps({"outputs": [{"name": name, "data": scores}]}).encode(), {}

        return say

    apps[0].answers[INFER] = answer("confidence", [2.0])
    apps[1].answers[INFER] = answer("scores", [0.9, 0.05, 0.05])
    diff = compared(apps, ours, clock, golden_questions(ours, tmp_path / "ours")[:1], theirs)
    assert (diff.compared, diff.flips) == (1, 0)  # sigmoid(2) is 0.88, of the second label
    assert set(asked) == {"photo", "image"}


def test_a_model_without_classes_is_compared_by_its_numbers(
    apps: tuple[ScriptedApp, ScriptedApp], tmp_path: Path, clock: StillClock
) -> None:
    manifest = golden_models.write_sum(tmp_path / "sum", [4.5, 6.0])
    questions = golden_questions(manifest, tmp_path / "sum")
    for app, number in zip(apps, (6.0, 6.0004), strict=True):
        app.says("/v2/models/sum/infer", {"outputs": [{"name": "sum", "data": [4.5, number]}]})
    assert compared(apps, manifest, clock, questions).flips == 0
    apps[1].says("/v2/models/sum/infer", {"outputs": [{"name": "sum", "data": [4.5, 7.5]}]})
    diff = compared(apps, manifest, clock, questions)
    assert (diff.flips, diff.largest[0].difference) == (1, 1.5)


def exchange(**answer: Any) -> Exchange:
    request = {"post": "/predict", "json": {"rows": [[1, 2]]}}
    return Exchange.model_validate({"request": request, "answer": answer})


@pytest.mark.parametrize(
    ("answer", "before", "after", "flips"),
    [
        ({}, {"churn": [0.11], "id": 1}, {"churn": [0.1105], "id": 1}, 0),
        ({}, {"churn": [0.11]}, {"churn": [0.2]}, 1),
        ({"tolerance": 0.5}, {"churn": [0.11]}, {"churn": [0.2]}, 0),
        ({}, {"churn": [0.11]}, {"churn": [0.11], "new": 1}, 1),
        ({}, {"churn": [0.11], "old": 1}, {"churn": [0.11]}, 1),
        ({"label": "yes", "at": "churn.0"}, {"churn": ["yes"], "p": 0.9}, {"churn": ["yes"], "p": 0.6}, 0),
        ({"label": "yes", "at": "churn.0"}, {"churn": ["yes"]}, {"churn": ["no"]}, 1),
        ({"label": "yes", "at": "churn.0"}, {"churn": ["yes"]}, {"x": 1}, 1),
        ({}, "a text", "a text", 0),
        ({}, "a text", "another", 1),
    ],
)
def test_answers_of_an_app(
    apps: tuple[ScriptedApp, ScriptedApp],
    manifest: ModelManifest,
    clock: StillClock,
    answer: dict[str, Any],
    before: Any,
    after: Any,
    flips: int,
) -> None:
    for app, document in zip(apps, (before, after), strict=True):
        app.says("/predict", document)
    diff = compared(apps, manifest, clock, [Call("golden example 0", "golden", exchange(**answer))])
    assert (diff.compared, diff.flips) == (1, flips)


def test_another_status_of_an_app_is_a_flip_and_a_fault_is_no_answer(
    apps: tuple[ScriptedApp, ScriptedApp], manifest: ModelManifest, clock: StillClock
) -> None:
    check = Call("check 0", "check", exchange())
    apps[0].says("/predict", {"churn": [0.1]})
    apps[1].says("/predict", {"detail": "no"}, status=422)
    diff = compared(apps, manifest, clock, [check])
    assert [(one.before, one.after) for one in diff.classes] == [("status 200", "status 422")]
    apps[1].says("/predict", "", status=500)
    diff = compared(apps, manifest, clock, [check])
    assert (diff.compared, diff.lost) == (0, 1)


def test_golden_examples_and_checks_become_questions_with_digests(tmp_path: Path, manifest: ModelManifest) -> None:
    questions = golden_questions(manifest, tmp_path / "v1", [exchange()])
    assert [one.name for one in questions] == ["check 0", *(f"golden/{name}.png" for name in golden_models.GREYS)]
    by_name = {file.name: file.sha256 for file in manifest.files}
    assert [one.sha256 for one in questions[1:]] == [by_name[one.name] for one in questions[1:]]


def test_of_too_many_golden_examples_an_even_choice_is_asked(tmp_path: Path, manifest: ModelManifest) -> None:
    numbers = itertools.count()
    golden = tuple({"inputs": [{"name": "image", "data": [next(numbers)]}], "label": "dark"} for _ in range(1000))
    questions = golden_questions(replace(manifest, golden=golden), tmp_path, most=100)
    assert [one.name for one in questions][:3] == ["golden example 0", "golden example 10", "golden example 20"]
    assert len(questions) == 100
