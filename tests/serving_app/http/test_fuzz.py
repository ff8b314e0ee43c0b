"""A short fuzz of raw bytes; the long one is benchmarks/fuzz_serving.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.serving_app.fuzzing import Fuzzer, Report
from tests.serving_app.models import picture, score_body
from tests.serving_app.running import Service

COUNT = int(os.environ.get("FUZZ_COUNT", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


def test_whatever_is_sent_the_answer_is_below_500(picture_dir: Path, serve: Callable[..., Service]) -> None:
    service = serve(picture_dir).wait_ready()
    workers = service.workers()
    report = Report()
    Fuzzer(service.port, SEED).run(COUNT, report)
    assert report.failures == []
    assert report.answers[200] > 0
    assert report.answers[400] > COUNT / 10
    assert service.workers() == workers
    assert service.post("/score", score_body(picture(255)))[1]["result"][0][0][0][0] == "light"


def test_the_fuzz_sees_a_failure(picture_dir: Path, serve: Callable[..., Service]) -> None:
    """The control: a service that may hold no bodies answers 503 to what it would take otherwise."""
    service = serve(picture_dir, SERVING_MAX_HELD_BYTES="1").wait_ready()
    report = Report()
    Fuzzer(service.port, SEED).run(50, report)
    assert report.failures
