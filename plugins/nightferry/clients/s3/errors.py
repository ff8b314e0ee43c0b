"""What the errors of an S3 storage mean: the one place that knows their classes and codes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nightferry.clients.s3.connection import REDIRECTS
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

CHANGED = {404, 412}
"""The answers to a condition that is not met: some storages say that what is gone is missing, others refuse."""
TAKEN = {409, 412}
"""What was to be made is there, or someone else is making it."""
_DENIED = {401, 403}
_BUSY = {408, 409, 412, 429}
"""409 and 412: someone else is changing the same thing at this moment."""
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}


@contextmanager
def s3_errors(host: str, bucket: str) -> Iterator[None]:
    """Turn every error of the SDK into one of Nightferry's, with the original as its cause.

    Args:
        host: the storage's, for the sentence.
        bucket: for the sentence.

    Raises:
        Permanent: (storage_denied, model_repository_missing)   Temporary: (storage_unavailable)
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise _answered(error, host, bucket) from error
    except (BotoCoreError, ResponseParserError, HTTPError) as error:
        raise _unanswered(error, host) from error


def status_of(error: Any) -> int | None:
    """The HTTP status of the SDK's error."""
    found = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return int(found) if found else None


def code_of(error: Any) -> str:
    """The storage's own word for the failure, e.g. `NoSuchKey`; of a HEAD it is the status."""
    return str(error.response.get("Error", {}).get("Code") or "")


def is_changed(error: Any) -> bool:
    """Whether an object is not the one that a condition named, or is gone."""
    return status_of(error) in CHANGED and code_of(error) != "NoSuchBucket"


def quiet() -> None:
    """Keep the SDK from logging its requests, whose headers hold signatures, and the key that it found."""
    for name in ("boto3", "botocore", "botocore.credentials", "s3transfer", "urllib3"):
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def _answered(error: Any, host: str, bucket: str) -> NightferryError:
    status, code = status_of(error), code_of(error)
    if code == "NoSuchBucket":
        return Permanent(
            Reason.MODEL_REPOSITORY_MISSING,
            f"The bucket {bucket} does not exist in the S3 storage {host}; make it, or correct model.repository.",
        )
    if code in _ELSEWHERE or status in REDIRECTS:
        return Permanent(
            Reason.STORAGE_DENIED,
            f"The bucket {bucket} is not where {host} was asked for it ({code or status}): set NIGHTFERRY_S3_REGION to "
            "its region, or correct NIGHTFERRY_S3_URL (https instead of http?); in Airflow, those of nightferry_s3.",
        )
    if code == "RequestTimeTooSkewed":
        return Permanent(
            Reason.STORAGE_DENIED,
            f"The S3 storage {host} refuses requests of this machine, whose clock is wrong ({code}): set the clock.",
        )
    if status in _DENIED:
        return Permanent(
            Reason.STORAGE_DENIED,
            f"The S3 storage {host} refuses these credentials for the bucket {bucket}"
            f"{f' ({code})' if code else ''}: check the key or identity, and that it may list, read and write there.",
        )
    if status is None or status < 400 or status >= 500 or status in _BUSY:
        return Temporary(Reason.STORAGE_UNAVAILABLE, _away(host, code or str(status or "")))
    return Permanent(
        Reason.STORAGE_DENIED, f"The S3 storage {host} refuses a request on the bucket {bucket} ({status} {code})."
    )


def _unanswered(error: Exception, host: str) -> NightferryError:
    from botocore.exceptions import (
        CredentialRetrievalError,
        NoCredentialsError,
        ParamValidationError,
        PartialCredentialsError,
        TokenRetrievalError,
    )

    unknown = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError)
    if isinstance(error, unknown):
        return Permanent(
            Reason.STORAGE_DENIED,
            f"No identity can be used here for the S3 storage {host}: set NIGHTFERRY_S3_KEY_FILE, in Airflow the login "
            "of nightferry_s3, or give the machine or pod a role.",
        )
    if isinstance(error, ParamValidationError):
        return Permanent(Reason.STORAGE_DENIED, f"A name in the S3 storage {host} is none that S3 takes.")
    return Temporary(Reason.STORAGE_UNAVAILABLE, _away(host, type(error).__name__))


def _away(host: str, what: str) -> str:
    return (
        f"The S3 storage {host} does not answer as it should ({what}): is it running, and can it be reached from here?"
    )
