"""The record shows any change to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nightferry.clients import connect

from tests.e2e.given_when_then import Given, Then
from tests.e2e.stage import SERVICE, Stage

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("releases")]


@pytest.fixture
def changed(stage: Stage, given: Given) -> Iterator[str]:
    """The name of an entry in which one byte was changed; put back afterwards."""
    given.a_release_in_use()
    name = stage.ledger.names(SERVICE)[2]
    container = stage.settings.get("LEDGER") or "ledger"
    blob = connect.storage(stage.settings).get_blob_client(container, name)
    content = blob.download_blob().readall()
    place = content.index(b'"sentence":"') + len(b'"sentence":"')
    altered = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    assert len(altered) == len(content)
    blob.upload_blob(altered, overwrite=True)
    yield name
    blob.upload_blob(content, overwrite=True)


def test_one_changed_byte_is_named(stage: Stage, changed: str) -> None:
    done = stage.nightferry("ledger", "verify", SERVICE)

    assert done.returncode == 1
    assert changed in done.stderr


def test_an_untouched_ledger_is_whole(given: Given, then: Then) -> None:
    given.a_release_in_use()
    then.ledger_whole()
