"""How a sender proves that it knows the secret. Every comparison takes the same time, whatever is compared."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

WINDOW_SECONDS = 300
"""How old, and how far ahead, a signed time may be."""
_PREFIX = "whsec_"

Headers = Mapping[str, str]
"""By their names in lower case."""


def equal(given: str, wanted: str) -> bool:
    """Whether two texts are equal; an empty secret equals nothing."""
    same = hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
    return same and bool(wanted)


def signed_by_github(headers: Headers, body: bytes, secret: str) -> bool:
    """`X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 of the body."""
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return equal(headers.get("x-hub-signature-256", ""), wanted)


def known_to_azure(headers: Headers, secret: str) -> bool:
    """Basic authentication, with the secret as the password or as `user:password`; else `X-Nightferry-Secret`."""
    given = headers.get("x-nightferry-secret")
    if given is not None:
        return equal(given, secret)
    kind, _, words = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        login = base64.b64decode(words.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return equal(login if ":" in secret else login.partition(":")[2], secret)


def signed_with_time(
    headers: Headers, body: bytes, secret: str, now: float, *, names: tuple[str, str, str], key: bytes
) -> bool:
    """`v1,<base64>` over `{id}.{timestamp}.{body}`, HMAC-SHA256, as MLflow and the Standard Webhooks have it; several
    signatures may stand there, with spaces between them. A time outside the window is refused.

    Args:
        headers: the request's.
        body: as it came.
        secret: what signs; an empty one signs nothing.
        now: seconds since 1970.
        names: the headers of id, time and signature.
        key: the secret as the HMAC's key.
    """
    delivery, time, signatures = (headers.get(name, "") for name in names)
    if not secret or not delivery or not time.isascii() or not time.isdigit() or len(time) > 12:
        return False
    wanted = base64.b64encode(hmac.new(key, f"{delivery}.{time}.".encode() + body, hashlib.sha256).digest()).decode()
    matches = [equal(one, f"v1,{wanted}") for one in signatures.split(" ")[:10]]
    return any(matches) and abs(now - int(time)) <= WINDOW_SECONDS


def key_of(secret: str) -> bytes:
    """The key of a Standard Webhooks secret: `whsec_` and base64, else the text itself."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
