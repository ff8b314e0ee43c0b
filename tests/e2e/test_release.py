"""A release, from the model to the user."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.given_when_then import Given, Then, When
from tests.e2e.stage import ROOT, SERVICE, Stage

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("releases")]


def test_a_newer_model_comes_into_use_and_no_request_fails(given: Given, when: When, then: Then) -> None:
    """A client that polls throughout sees the old release, then the new one, and not one failed request."""
    old = given.a_release_in_use()
    model = given.a_model("forest")
    with when.called() as caller:
        released = when.released()

    assert released.code == 0, released
    assert released.outcome == "released"
    then.in_use(released.name, model)
    assert caller.failures == []
    assert caller.releases == [old, released.name]
    assert caller.asked > 100
    then.digit_is_right()
    then.same_image_everywhere(released.name)
    then.ledger_whole()


def test_an_unchanged_night_says_so_in_seconds_and_records_it(
    stage: Stage, given: Given, when: When, then: Then
) -> None:
    """Nothing is built, nothing is rolled out; the decision is on the record."""
    in_use = given.a_release_in_use()
    version = stage.version()
    before = len(stage.entries())
    released = when.released("--model", version["model"]["version"], "--commit", version["source"], timeout=60)

    assert (released.code, released.reason, released.release) == (0, "unchanged", None)
    (entry,) = stage.entries()[before:]
    assert entry.reason == "unchanged"
    then.in_use(in_use)


def test_the_tutorials_client_gets_the_right_digit_from_the_address_that_is_printed(
    stage: Stage, given: Given, when: When
) -> None:
    """`nightferry url` prints an address and nothing else; examples/digits/client.py works with it as it is."""
    given.a_release_in_use()
    address = stage.nightferry("url", SERVICE).stdout.removesuffix("\n")
    picture = stage.folder / "four.png"
    picture.write_bytes(given.a_picture("4"))
    client = [sys.executable, str(ROOT / "examples" / "digits" / "client.py"), address, str(picture)]

    assert subprocess.run(client, capture_output=True, text=True, check=False).stdout == "4\n"


def test_a_request_that_is_repeated_is_the_same_release(stage: Stage, given: Given, when: When, then: Then) -> None:
    """Asked three times while it runs: one run, one release."""
    given.a_release_in_use()
    given.a_model("linear")
    runs = {when.started("--reason", "asked thrice") for _ in range(3)}
    assert len(runs) == 1
    released = when.ended(runs.pop())

    assert released.outcome == "released"
    then.done_once(released)
    then.in_use(released.name)
