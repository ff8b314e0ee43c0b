"""Open an S3 storage: with a key from a file, or as the identity that the machine or the pod has."""

from __future__ import annotations

import configparser
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

TRIES = 4
"""How often the SDK asks, seconds apart. Airflow's own retries wait longer, and are seen."""
REDIRECTS = (301, 302, 307, 308)
_NAMES = ("aws_access_key_id", "aws_secret_access_key")
_TOKEN = "aws_session_token"  # noqa: S105 (its name)


@dataclass(frozen=True)
class S3Key:
    """Who asks. Its text shows no secret."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class S3Service:
    """An opened storage."""

    client: Any
    """The SDK's."""
    host: str
    """What sentences call it."""


def open_s3(url: str | None, region: str | None, key: S3Key | None) -> S3Service:
    """The client; nothing is asked yet.

    Args:
        url: where it is; None is Amazon's, in the region.
        region: its region; a storage of one's own usually has none and takes any.
        key: None is the identity that the machine or the pod has.

    Raises:
        Permanent: (setting_missing) the SDK is not installed, or neither a place nor a region is named;
            (setting_invalid) the place is no address.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as fault:
        raise Permanent(Reason.SETTING_MISSING, "S3 needs the package boto3: pip install 'nightferry[s3]'.") from fault
    if url is None and region is None:
        raise Permanent(
            Reason.SETTING_MISSING,
            "Where the S3 storage is, is not set: NIGHTFERRY_S3_URL, or for Amazon's own NIGHTFERRY_S3_REGION; in "
            "Airflow the connection nightferry_s3.",
        )
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        max_pool_connections=32,
        ignore_configured_endpoint_urls=True,
        # Storages of other makers have no host name for each bucket, and know fewer kinds of checksum.
        s3={"addressing_style": "path" if url else "auto", "payload_signing_enabled": True},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = boto3.session.Session(botocore_session=_alone() if key else None)
        client = session.client(
            "s3",
            endpoint_url=url,
            region_name=region or "us-east-1",
            aws_access_key_id=key.access if key else None,
            aws_secret_access_key=key.secret if key else None,
            aws_session_token=key.token if key else None,
            config=config,
        )
    except (ValueError, BotoCoreError) as fault:
        raise Permanent(
            Reason.SETTING_INVALID,
            f"{url or f'The region {region}'} names no S3 storage: the place is written https://HOST[:PORT], a region "
            "like eu-central-1.",
        ) from fault
    client.meta.events.register_first("needs-retry.s3", _refuse_redirects)
    return S3Service(client, urlsplit(client.meta.endpoint_url).netloc)


def _refuse_redirects(response: Any = None, operation: Any = None, **_: object) -> None:
    """The SDK would ask for the bucket's region, by a request that is redirected too, and so on for ever."""
    from botocore.exceptions import ClientError

    if response and response[0].status_code in REDIRECTS:
        raise ClientError(response[1], operation.name)


def _alone() -> Any:
    """A session that reads no file of AWS's own tools: what was set up for other work does not count beside a key."""
    import botocore.session

    nothing = (None, None, os.devnull, None)
    return botocore.session.Session(
        session_vars={"profile": (None, [], None, None), "config_file": nothing, "credentials_file": nothing}
    )


def read_key(file: Path) -> S3Key:
    """The key in a file of the form that AWS's own tools have (`~/.aws/credentials`), under `[default]`.

    Raises:
        Permanent: (setting_missing) it cannot be read; (setting_invalid) everybody can read it, or it holds no key.
    """
    try:
        if file.stat().st_mode & stat.S_IROTH:
            raise Permanent(Reason.SETTING_INVALID, f"Everybody can read {file}, which holds a key: chmod 600 {file}")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise Permanent(
            Reason.SETTING_MISSING, f"NIGHTFERRY_S3_KEY_FILE names {file}, which cannot be read; correct it."
        ) from fault
    return parse_key(text, str(file))


def parse_key(text: str, where: str) -> S3Key:
    """The key in such a text. Raises Permanent (setting_invalid)."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        found = parser["default"]
        access, secret = (found[name].strip() for name in _NAMES)
    except (configparser.Error, KeyError):
        access = secret = ""
        found = None
    if not access or not secret or found is None:
        # Nothing of the text is repeated, nor what the parser says of it.
        raise Permanent(
            Reason.SETTING_INVALID,
            f"{where} holds no S3 key: under the line [default] it needs the lines `{_NAMES[0]} = …` and "
            f"`{_NAMES[1]} = …`.",
        )
    return S3Key(access, secret, found.get(_TOKEN) or None)


def key_text(key: S3Key) -> str:
    """The same text, for a file."""
    lines = ["[default]", f"{_NAMES[0]} = {key.access}", f"{_NAMES[1]} = {key.secret}"]
    return "\n".join([*lines, *([f"{_TOKEN} = {key.token}"] if key.token else [])]) + "\n"
