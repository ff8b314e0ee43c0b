"""Download a blob as one stream: hashed and written as it arrives, whatever its size.

The SDK's own download holds whole ranges in memory and asks for each anew, which costs more than half of the throughput
(benchmarks/fetch.py). So this is one GET of ours, with the SDK's login, that goes on where a broken connection stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nightferry.clients.versions.writing import Sink

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobClient

PIECE = 1024 * 1024
"""Bytes that are received, hashed and written at once."""
TRIES = 4
"""How often in a row a connection may fail without a byte having come."""
PAUSE = 2.0
"""Seconds between those tries."""


def stream_blob(blob: BlobClient, etag: str | None, sink: Sink) -> None:
    """Hand the blob's bytes to `sink`, in order.

    Args:
        blob: the blob.
        etag: what it has to be from beginning to end; otherwise the SDK's ResourceModifiedError is raised. None: what
            it is at the beginning; whoever reads compares its sha256.
        sink: called with each piece.
    """
    from azure.core import MatchConditions
    from azure.core.exceptions import AzureError

    offset, tries, begun = 0, TRIES, etag
    with _client(blob) as client:
        whole = False
        while not whole:
            try:
                for found, piece in _get(client, blob, begun, offset):
                    begun = found
                    sink(piece)
                    offset, tries = offset + len(piece), TRIES
                whole = True
            except AzureError as error:
                tries -= 1
                if tries == 0 or 400 <= (getattr(error, "status_code", None) or 0) < 500:
                    raise
                time.sleep(PAUSE)
    # A stream that had begun goes on with the old content when the blob is overwritten.
    if etag is not None:
        blob.get_blob_properties(etag=etag, match_condition=MatchConditions.IfNotModified)


def _client(blob: BlobClient) -> PipelineClient[Any, Any]:
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import HeadersPolicy

    policies = [HeadersPolicy({"x-ms-version": blob.api_version}), *_login(blob.credential)]
    return PipelineClient(
        blob.url, policies=policies, connection_data_block_size=PIECE, connection_timeout=5, read_timeout=60
    )


def _login(credential: Any) -> list[Any]:
    """The policy that signs requests. A SAS token stands in the blob's address and needs none."""
    from azure.core.credentials import AzureSasCredential
    from azure.core.pipeline.policies import AzureSasCredentialPolicy, BearerTokenCredentialPolicy

    if hasattr(credential, "get_token"):
        return [BearerTokenCredentialPolicy(credential, "https://storage.azure.com/.default")]
    if isinstance(credential, AzureSasCredential):
        return [AzureSasCredentialPolicy(credential)]
    # A shared key is kept by the SDK as the policy that signs with it.
    return [credential] if hasattr(credential, "on_request") else []


def _get(
    client: PipelineClient[Any, Any], blob: BlobClient, etag: str | None, offset: int
) -> Iterator[tuple[str, bytes]]:
    """The blob's ETag and its bytes from there on, piece by piece."""
    from email.utils import formatdate

    from azure.core.exceptions import IncompleteReadError
    from azure.core.rest import HttpRequest

    headers = {"x-ms-date": formatdate(usegmt=True)}
    if etag is not None:
        headers["If-Match"] = etag
    if offset:
        headers["x-ms-range"] = f"bytes={offset}-"
    with client.send_request(HttpRequest("GET", blob.url, headers=headers), stream=True) as response:
        if response.status_code != (206 if offset else 200):
            raise _refusal(response)
        left, found = int(response.headers["Content-Length"]), str(response.headers["ETag"])
        for piece in response.iter_raw():
            left -= len(piece)
            yield found, piece
        if left:
            raise IncompleteReadError(f"{left} bytes are missing")


def _refusal(response: Any) -> HttpResponseError:
    from azure.core import exceptions

    kinds = {
        401: exceptions.ClientAuthenticationError,
        403: exceptions.ClientAuthenticationError,
        404: exceptions.ResourceNotFoundError,
        412: exceptions.ResourceModifiedError,
    }
    response.read()
    error: Any = kinds.get(response.status_code, exceptions.HttpResponseError)(response=response)
    error.error_code = response.headers.get("x-ms-error-code")
    refusal: HttpResponseError = error
    return refusal
