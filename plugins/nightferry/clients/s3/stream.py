"""Download an object as one stream: handed on as it arrives, whatever its size, and gone on with where it broke."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from nightferry.clients.s3.errors import status_of
from nightferry.clients.versions.writing import Sink

PIECE = 1024 * 1024
"""Bytes that are received, hashed and written at once."""
TRIES = 4
"""How often in a row a connection may fail without a byte having come."""
PAUSE = 2.0
"""Seconds between those tries."""


def stream_object(client: Any, bucket: str, key: str, etag: str | None, sink: Sink) -> None:
    """Hand the object's bytes to `sink`, in order.

    Args:
        client: the SDK's.
        bucket: where the object is.
        key: its name.
        etag: what it has to be from beginning to end; otherwise the SDK's ClientError of 404 or 412 is raised. None:
            what it is at the beginning; whoever reads compares its sha256.
        sink: called with each piece.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    offset, tries, begun, whole = 0, TRIES, etag, False
    while not whole:
        try:
            for found, piece in _get(client, bucket, key, begun, offset):
                begun = found
                sink(piece)
                offset, tries = offset + len(piece), TRIES
            whole = True
        except (BotoCoreError, ClientError, HTTPError, ResponseParserError) as error:
            tries -= 1
            refused = isinstance(error, ClientError) and 400 <= (status_of(error) or 0) < 500
            if tries == 0 or refused:
                raise
            time.sleep(PAUSE)
    # A stream that had begun goes on with the old content when the object is overwritten.
    if etag is not None:
        client.head_object(Bucket=bucket, Key=key, IfMatch=etag)


def _get(client: Any, bucket: str, key: str, etag: str | None, offset: int) -> Iterator[tuple[str, bytes]]:
    """The object's ETag and its bytes from there on, piece by piece."""
    from botocore.exceptions import IncompleteReadError

    asked: dict[str, str] = {"Bucket": bucket, "Key": key}
    if etag is not None:
        asked["IfMatch"] = etag
    if offset:
        asked["Range"] = f"bytes={offset}-"
    answer = client.get_object(**asked)
    found, left, body = str(answer["ETag"]), int(answer["ContentLength"]), answer["Body"]
    if offset and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
        body.close()
        raise IncompleteReadError(actual_bytes=0, expected_bytes=left)
    with body:
        while piece := body.read(PIECE):
            left -= len(piece)
            yield found, piece
    if left:
        raise IncompleteReadError(actual_bytes=0, expected_bytes=left)
