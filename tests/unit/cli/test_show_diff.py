"""How a release's answers differ from those of the one in use: in lines, as JSON, and as a page for people."""

from __future__ import annotations

import hashlib
import html.parser
import json
from typing import Any

import pytest
from nightferry.cli import main
from nightferry.cli.releasing.diff_page import LARGEST, page
from nightferry.clients import connect
from nightferry.entities.ledger_entry import Kind
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Gate
from nightferry.errors import Temporary
from nightferry.steps.judging.prediction_gates import judged
from nightferry.steps.record.record import record_step

from tests.fakes.a_diff import GATES, a_diff
from tests.fakes.a_release import a_decision, a_spec, decided
from tests.fakes.memory.memory_ledger import MemoryLedger
from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.still_clock import StillClock
from tests.serving_app.models import picture

RELEASE = "digits-2026-11-21.1"
SEVEN = picture(7)


def refused(ledger: MemoryLedger, clock: StillClock, **changes: Any) -> None:
    """A release that was compared in staging, on record."""
    decision = a_decision().model_copy(update={"spec": a_spec().to_json()})
    decided(ledger, clock, decision)
    diff = judged(a_diff(**changes), GATES)
    data = {"environment": "staging", "prediction_diff": diff.to_json()}
    words = {"sentence": "It flips.", "data": data, "reason": Reason.GATE_FLIPS, "kind": Kind.ROLLOUT}
    record_step(ledger, clock, decision, "staging.roll_out/failed/1", **words)


def seven(**changes: Any) -> dict[str, Any]:
    """The change of a golden picture."""
    digest = hashlib.sha256(SEVEN).hexdigest()
    return {"name": "golden/7.png", "source": "golden", "sha256": digest, "before": "7", "after": "1"} | changes


def test_show_tells_the_comparison_in_a_few_lines(capsys, ledger, clock, services):
    refused(ledger, clock, not_comparable={"neither answered": 2})
    main(["show", RELEASE])
    shown = capsys.readouterr().out
    for said in (
        "staging compared with digits-2026-11-21.1: 3 of 40 answers differ, 7.5 % (golden 10, recorded 30)",
        "gate flips <= 5%: not met",
        "gate p95 <= 1.5x: not met",
        "p95 31 ms, in use 12 ms: 2.58 times, over 100 pairs",
        "changes 7 → 1: 2, 3 → 8: 1",
        "golden/7.png: 7 (98.0 %) → 1 (77.0 %)",
        "not compared 2: neither answered",
        "30 recorded requests from 1 of 1 pods",
    ):
        assert said in shown


def test_programs_get_all_of_it(capsys, ledger, clock, services):
    refused(ledger, clock)
    main(["show", RELEASE, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["prediction_diffs"] == {"staging": judged(a_diff(), GATES).to_json()}


def test_a_comparison_that_a_newer_version_wrote_otherwise_hides_nothing_else(capsys, ledger, clock, services):
    decision = decided(ledger, clock, a_decision())
    data = {"environment": "staging", "prediction_diff": {"schema": 9}}
    record_step(ledger, clock, decision, "staging.roll_out", sentence="It serves.", data=data)
    assert main(["show", RELEASE]) == 0
    assert "It serves." in capsys.readouterr().out


def test_the_page_has_the_figures_and_the_pictures(capsys, monkeypatch, tmp_path, ledger, clock, services):
    refused(ledger, clock, largest=[seven(), {**seven(), "name": "golden/8.png"}])
    models = MemoryModels()
    models.blobs["2026-11-20-linear/golden/7.png"] = SEVEN
    models.blobs["2026-11-20-linear/golden/8.png"] = picture(8)  # another than the one that was asked
    monkeypatch.setattr(connect, "models", lambda settings, source: models)
    file = tmp_path / "diff.html"
    main(["show", RELEASE, "--page", str(file)])
    found = Page(file.read_text(encoding="utf-8"))
    assert [one["alt"] for one in found.of("img")] == ["golden/7.png"]
    assert found.of("img")[0]["src"].startswith("data:image/png;base64,")
    for said in ("3 of 40 answers differ", "7.5 %", "2.58 times", "is not met", "no picture at hand"):
        assert said in found.text


def test_a_page_is_made_without_the_pictures_where_they_cannot_be_had(monkeypatch, tmp_path, ledger, clock, services):
    refused(ledger, clock, largest=[seven()])

    def away(*_: object) -> None:
        raise Temporary(Reason.STORAGE_UNAVAILABLE, "Blob storage does not answer.")

    monkeypatch.setattr(connect, "models", away)
    main(["show", RELEASE, "--page", str(tmp_path / "diff.html")])
    assert "no picture at hand" in (tmp_path / "diff.html").read_text(encoding="utf-8")


def test_without_a_comparison_there_is_no_page(capsys, tmp_path, ledger, clock, services):
    decided(ledger, clock, a_decision())
    assert main(["show", RELEASE, "--page", str(tmp_path / "diff.html")]) == 2
    assert "was not compared" in capsys.readouterr().err
    assert not (tmp_path / "diff.html").exists()


def test_a_page_that_cannot_be_written_is_said(capsys, tmp_path, ledger, clock, services):
    refused(ledger, clock, largest=[])
    assert main(["show", RELEASE, "--page", str(tmp_path / "no" / "diff.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


class Page(html.parser.HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, Any]]:
        return [attrs for name, attrs in self.tags if name == tag]


EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> \" ' &amp;"


def test_no_text_becomes_markup() -> None:
    change = {"before": EVIL, "after": EVIL}
    diff = a_diff(
        in_use=EVIL,
        classes=[{**change, "count": 1}],
        largest=[{**change, "name": EVIL, "source": "golden", "sha256": EVIL}],
        not_comparable={EVIL: 1},
        sources={EVIL: 1},
        recorded=EVIL,
    )
    found = Page(page(EVIL, {EVIL: judged(diff, GATES)}, {EVIL: SEVEN}))
    assert found.of("script") == []
    assert [set(one) for one in found.of("img")] == [{"class", "alt", "src"}]
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)
    assert EVIL in found.text


def test_nothing_is_fetched_from_anywhere() -> None:
    found = Page(page(RELEASE, {"staging": a_diff(largest=[seven()])}, {"golden/7.png": SEVEN}))
    assert found.of("link") == []
    assert all(one["src"].startswith("data:image/") for one in found.of("img"))
    policy = next(one["content"] for one in found.of("meta") if "http-equiv" in one)
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("data", [b"<svg onload='x'/>", b"", b"\x89PNG\r\n\x1a\n" + bytes(LARGEST)])
def test_only_small_pictures_of_known_kinds_are_shown(data: bytes) -> None:
    assert Page(page(RELEASE, {"staging": a_diff(largest=[seven()])}, {"golden/7.png": data})).of("img") == []


def test_a_recorded_request_has_no_picture() -> None:
    found = Page(page(RELEASE, {"staging": a_diff()}, {"recorded 4": SEVEN, "golden/7.png": SEVEN}))
    assert [one["alt"] for one in found.of("img")] == ["golden/7.png"]
    assert "not kept on record" in found.text


def test_a_gate_that_is_met_is_shown_as_such() -> None:
    diff = judged(a_diff(), {"flips": Gate.model_validate("<= 10%")})
    found = Page(page(RELEASE, {"staging": diff}, {}))
    assert "is met" in found.text
    assert next(one["class"] for one in found.of("p") if one.get("class") in ("good", "bad")) == "good"
