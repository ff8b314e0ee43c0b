"""The real parts that the contracts are tested on: those of the sandbox, or what the settings name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from nightferry import settings
from nightferry.clients import connect

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient


@pytest.fixture(scope="session")
def blob_service() -> BlobServiceClient:
    return connect.storage(settings.load())


@pytest.fixture
def container(blob_service: BlobServiceClient) -> Iterator[str]:
    """The name of a container of this test's own."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    blob_service.create_container(name)
    yield name
    blob_service.delete_container(name)
