"""Recorded requests are read from the pods that keep them, and what cannot be asked again is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from nightferry.steps.judging.recorded_requests import MOST_PODS, read_recorded

from tests.fakes.scripted_app import Asked, Said, ScriptedApp, served
from tests.fakes.still_clock import StillClock


@pytest.fixture
def pod() -> Iterator[ScriptedApp]:
    with served() as app:
        yield app


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def request(value: float, *names: str, omitted: tuple[str, ...] = ()) -> dict[str, Any]:
    inputs = [{"name": name, "datatype": "FP32", "shape": [1], "data": [value]} for name in names or ("x",)]
    return {"inputs": inputs, "omitted": list(omitted), "labels": ["yes"]}


def document(*requests: Any, too_large: int = 0) -> dict[str, Any]:
    return {"most": 100, "largest_bytes": 1000, "too_large": too_large, "requests": list(requests)}


def test_the_newest_are_taken_as_they_were_asked(pod: ScriptedApp, clock: StillClock) -> None:
    pod.says("/recorded", document(*(request(n) for n in range(10))))
    found = read_recorded([pod.address], ["x"], clock, most=3)
    assert [one.inputs[0]["data"] for one in found.questions] == [[7], [8], [9]]
    assert {one.source for one in found.questions} == {"recorded"}
    assert found.sentence == "3 recorded requests from 1 of 1 pods"


def test_a_request_without_what_a_model_needs_is_counted_and_not_asked(pod: ScriptedApp, clock: StillClock) -> None:
    requests = [request(1, "x", omitted=("salary",)), request(2, "x", "y", omitted=("salary",)), request(3, "x", "y")]
    pod.says("/recorded", document(*requests))
    found = read_recorded([pod.address], ["x", "y"], clock)
    assert ([one.inputs[0]["data"] for one in found.questions], found.not_replayable) == ([[2], [3]], 1)
    assert read_recorded([pod.address], ["x", "salary"], clock).not_replayable == 2


@pytest.mark.parametrize("broken", [{"inputs": []}, {"inputs": ["x"]}, {}, {"inputs": {"x": 1}}])
def test_what_is_no_request_is_counted_too(pod: ScriptedApp, clock: StillClock, broken: Any) -> None:
    pod.says("/recorded", document(broken, request(1)))
    found = read_recorded([pod.address], ["x"], clock)
    assert (len(found.questions), found.not_replayable) == (1, 1)


def test_pods_that_keep_none_or_are_silent_are_told_apart(pod: ScriptedApp, clock: StillClock) -> None:
    with served() as off:
        pod.says("/recorded", document(request(1), too_large=4))
        found = read_recorded([pod.address, off.address, "http://127.0.0.1:9"], ["x"], clock)
    assert len(found.questions) == 1
    for said in ("from 1 of 3 pods", "1 did not answer", "1 keep none", "4 requests were too large"):
        assert said in found.sentence


def test_each_of_several_pods_gives_its_part(pod: ScriptedApp, clock: StillClock) -> None:
    pod.says("/recorded", document(*(request(n) for n in range(10))))
    assert len(read_recorded([pod.address] * 3, ["x"], clock, most=6).questions) == 6


def test_of_many_pods_some_are_asked(pod: ScriptedApp, clock: StillClock) -> None:
    pod.says("/recorded", document(request(1)))
    read_recorded([pod.address] * 20, ["x"], clock)
    assert len(pod.asked) == MOST_PODS


def test_a_pod_that_told_somebody_else_a_moment_ago_is_asked_again(pod: ScriptedApp, clock: StillClock) -> None:
    said: Iterator[Said] = iter([(503, b"", {}), (200, json.dumps(document(request(1))).encode(), {})])

    def answer(asked: Asked) -> Said:
        return next(said)

    pod.answers["/recorded"] = answer
    assert len(read_recorded([pod.address], ["x"], clock).questions) == 1


def test_without_a_pod_that_is_said(clock: StillClock) -> None:
    assert "no pod" in read_recorded([], ["x"], clock).sentence
