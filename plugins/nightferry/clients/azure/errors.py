"""What Azure Storage's errors mean: the one place that knows their classes and codes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError

_DENIED = {401, 403}
_BUSY = {408, 409, 412, 429}
"""409 and 412: someone else is changing the same thing at this moment."""
_MAKE_IT = (
    " If there was one, restore it first; if the installation is new, make it: `nightferry up` for the sandbox, "
    "`az storage container create` elsewhere."
)


@contextmanager
def azure_errors(storage: str, container: str, *, missing: Reason = Reason.MODEL_REPOSITORY_MISSING) -> Iterator[None]:
    """Turn every error of the Azure SDK into one of Nightferry's, with the original as its cause.

    Args:
        storage: the account's host, for the sentence.
        container: the Blob container, for the sentence.
        missing: the reason when the container does not exist.

    Raises:
        Permanent: (storage_denied, or `missing`)   Temporary: (storage_unavailable)
    """
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        raise _meaning(error, storage, container, missing) from error


def error_code(error: AzureError) -> str:
    """Azure Storage's own word for the failure, e.g. `BlobAlreadyExists`; empty when it gave none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def quiet() -> None:
    """Keep the SDK from logging every request with its headers, and every kind of login that it does not find."""
    for name, level in (
        ("azure", logging.WARNING),
        ("azure.core.pipeline.policies.http_logging_policy", logging.WARNING),
        ("azure.identity", logging.ERROR),  # the error that it raises says it all again
    ):
        logger = logging.getLogger(name)
        if logger.level < level:
            logger.setLevel(level)


def _meaning(error: AzureError, storage: str, container: str, missing: Reason) -> NightferryError:
    from azure.core.exceptions import ClientAuthenticationError

    status, code = getattr(error, "status_code", None), error_code(error)
    if isinstance(error, ClientAuthenticationError) and status is None:  # the account was not even asked
        return Permanent(
            Reason.STORAGE_DENIED,
            f"No identity can be used here for the storage account {storage}: `az login` on a laptop, give a machine "
            "or pod its own, or set NIGHTFERRY_STORAGE_CONNECTION_FILE.",
        )
    if isinstance(error, ClientAuthenticationError) or status in _DENIED:
        return Permanent(
            Reason.STORAGE_DENIED,
            f"The storage account {storage} refuses these credentials for the container {container}"
            f"{f' ({code})' if code else ''}: check the key or identity, and that it may read and write there.",
        )
    if code == "ContainerNotFound":
        advice = _MAKE_IT if missing is Reason.LEDGER_MISSING else ""
        return Permanent(missing, f"The container {container} does not exist in the storage account {storage}.{advice}")
    if status is None or status < 400 or status >= 500 or status in _BUSY:
        return Temporary(
            Reason.STORAGE_UNAVAILABLE,
            f"The storage account {storage} does not answer as it should"
            f" ({code or status or type(error).__name__}): is it running, and can it be reached from here?",
        )
    return Permanent(
        Reason.STORAGE_DENIED,
        f"The storage account {storage} refuses a request on the container {container} ({status} {code}).",
    )
