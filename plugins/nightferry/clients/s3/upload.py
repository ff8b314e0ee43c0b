"""Upload a model version to S3: the files, then model.json, each created once.

A large file goes up in parts; it is there when it is completed, under the same condition as a small one, not before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from nightferry.clients.doors.model_repository import OnBytes
from nightferry.clients.s3.errors import TAKEN, status_of
from nightferry.clients.versions import pinning
from nightferry.clients.versions.pinning import StoredFile
from nightferry.entities.model_version import MANIFEST, ModelFile, ModelManifest

PART = 16 * 1024 * 1024
"""Bytes of a part; a file up to this size goes up in one request."""
PARTS = 10_000
"""S3 takes that many for one object."""
AT_ONCE = 3
"""Parts on their way at a time: with the one that is read, four are in memory."""
SHA256 = "nightferry-sha256"


class Upload:
    """Puts the files of one version into a bucket."""

    def __init__(self, client: Any, bucket: str, where: str, place: str) -> None:
        self._client, self._bucket, self._where, self._place = client, bucket, where, place

    def version(
        self,
        folder: Path,
        manifest: ModelManifest,
        content: bytes,
        stored: Mapping[str, StoredFile],
        on_bytes: OnBytes | None,
    ) -> tuple[str, ...]:
        """Upload what is missing; the names of what was uploaded.

        1. A file that an earlier, interrupted try left is kept when it is the same, else replaced: without model.json
           the version does not exist, so nobody can be using it.
        2. model.json is created only if it is not there. Someone else may have been publishing the same version: the
           same content is success, other content is not.

        Raises:
            Permanent: (model_exists)   the SDK's errors
        """
        from botocore.exceptions import ClientError

        uploaded = []
        for file in manifest.files:
            leftover = stored.get(file.name)
            if leftover is not None and leftover.size == file.size and self._is(file):
                continue
            try:
                self._file(file, folder / file.name, leftover, on_bytes)
            except ClientError as error:
                # Taken: perhaps by this very request, whose answer was lost and which the SDK sent once more.
                if status_of(error) not in TAKEN or not self._is(file):
                    raise
            uploaded.append(file.name)
        return (*uploaded, *self._finish(manifest, content, on_bytes))

    def _is(self, file: ModelFile) -> bool:
        """Whether what is there is this file."""
        said = self._client.head_object(Bucket=self._bucket, Key=self._key(file.name))
        return bool(said["ContentLength"] == file.size and said.get("Metadata", {}).get(SHA256) == file.sha256)

    def _file(self, file: ModelFile, path: Path, leftover: StoredFile | None, on_bytes: OnBytes | None) -> None:
        condition = {"IfMatch": leftover.etag} if leftover else {"IfNoneMatch": "*"}
        target = {"Bucket": self._bucket, "Key": self._key(file.name)}
        metadata = {SHA256: file.sha256}
        if file.size <= PART:
            content = path.read_bytes()
            self._client.put_object(**target, Body=content, Metadata=metadata, **condition)
            if on_bytes:
                on_bytes(len(content))
            return
        upload = {**target, "UploadId": self._client.create_multipart_upload(**target, Metadata=metadata)["UploadId"]}
        try:
            parts = self._parts(upload, path, max(PART, -(-file.size // PARTS)), on_bytes)
            self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **condition)
        except BaseException:
            with suppress(Exception):  # what failed is said, not that it could not be cleared up
                self._client.abort_multipart_upload(**upload)
            raise

    def _parts(self, upload: dict[str, str], path: Path, size: int, on_bytes: OnBytes | None) -> list[dict[str, Any]]:
        """Send the file's parts, some at a time; what the storage says of each, in order."""

        def send(number: int, piece: bytes) -> dict[str, Any]:
            said = self._client.upload_part(**upload, PartNumber=number, Body=piece)
            return {"PartNumber": number, "ETag": said["ETag"]}

        sent: list[dict[str, Any]] = []
        under_way: deque[tuple[Future[dict[str, Any]], int]] = deque()

        def take() -> None:
            future, length = under_way.popleft()
            sent.append(future.result())
            if on_bytes:
                on_bytes(length)

        with ThreadPoolExecutor(AT_ONCE, "upload-model") as pool:
            for number, piece in enumerate(_pieces(path, size), start=1):
                under_way.append((pool.submit(send, number, piece), len(piece)))
                if len(under_way) == AT_ONCE:
                    take()
            while under_way:
                take()
        return sent

    def _finish(self, manifest: ModelManifest, content: bytes, on_bytes: OnBytes | None) -> tuple[str, ...]:
        from botocore.exceptions import ClientError

        target = {"Bucket": self._bucket, "Key": self._key(MANIFEST)}
        try:
            self._client.put_object(**target, Body=content, ContentType="application/json", IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) not in TAKEN:
                raise
            if self._client.get_object(**target)["Body"].read() != content:
                raise pinning.exists(self._where, manifest.version) from error
            return ()
        if on_bytes:
            on_bytes(len(content))
        return (MANIFEST,)

    def _key(self, name: str) -> str:
        return f"{self._place}/{name}"


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(size):
            yield piece
