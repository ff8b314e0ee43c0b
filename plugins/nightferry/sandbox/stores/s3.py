"""The S3 storage of the sandbox: versitygw, whose objects are plain files.

It stands where Azurite stands, on the bridge, so that pods and the machine use one and the same address.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nightferry.clients.s3.connection import S3Key, key_text, open_s3
from nightferry.clients.s3.errors import s3_errors, status_of
from nightferry.sandbox import secrets_files
from nightferry.sandbox.layout import ADDRESS, Layout
from nightferry.sandbox.supervise.parts import Part
from nightferry.sandbox.supervise.probes import Http

NAME = "s3"
ACCESS = "nightferry"
HEALTH = "/health"
BUCKET = "models"


def url(ports: Mapping[str, int]) -> str:
    """Where it is."""
    return f"http://{ADDRESS}:{ports[NAME]}"


def key(layout: Layout) -> S3Key:
    """The sandbox's key."""
    return S3Key(ACCESS, secrets_files.read(layout, "s3-secret"))


def write_key(layout: Layout) -> Path:
    """The key, in a file as AWS's own tools have one."""
    path = layout.secrets / "s3-key"
    layout.write(path, key_text(key(layout)), owned=True)
    return path


def part(layout: Layout, ports: Mapping[str, int], program: Path) -> Part:
    """The part of the sandbox."""
    folder = layout.folder(NAME, owned=True)
    return Part(
        name=NAME,
        command=command(program, f"{ADDRESS}:{ports[NAME]}", folder),
        environment=environment(key(layout)),
        probe=Http(f"{url(ports)}{HEALTH}"),
        address=url(ports),
        owned=True,
    )


def command(program: Path, address: str, folder: Path) -> tuple[str, ...]:
    """The words that start it. The key is in its environment, where no other user of the machine sees it."""
    return (str(program), "--port", address, "--health", HEALTH, "--quiet", "posix", str(folder))


def environment(key: S3Key) -> dict[str, str]:
    """The variables that it is started with."""
    return {"ROOT_ACCESS_KEY": key.access, "ROOT_SECRET_KEY": key.secret}


def ensure_bucket(layout: Layout, ports: Mapping[str, int]) -> None:
    """Make the bucket of the examples where it is missing.

    Raises:
        Temporary: (storage_unavailable) the storage does not answer.
    """
    from botocore.exceptions import ClientError

    service = open_s3(url(ports), None, key(layout))
    with s3_errors(service.host, BUCKET):
        try:
            service.client.create_bucket(Bucket=BUCKET)
        except ClientError as fault:
            if status_of(fault) != 409:  # it is there
                raise
