"""Base64 as clients write it: plain, wrapped at 76 characters, without padding, URL-safe, as a `data:` URL."""

from __future__ import annotations

import binascii
import re

from serving_app.errors import bad_request

DATA_URL = re.compile(r"data:image/[-+.\w]+(?:;[-.\w]+=[^;,]*)*;base64,", re.IGNORECASE | re.ASCII)
LINE_ENDS = str.maketrans("", "", "\r\n")
URL_SAFE = str.maketrans("-_", "+/")


def decode(text: str, field: str) -> bytes:
    """Return what a base64 text stands for.

    Raises:
        RequestError: it is not base64; it names the field.
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)  # what nearly every client sends
    except ValueError:
        pass
    try:
        return binascii.a2b_base64(_plain(text, field), strict_mode=True)
    except ValueError as error:
        raise bad_request(field, "not base64") from error


def _plain(text: str, field: str) -> str:
    """Return the text in the one spelling that the standard library takes."""
    if text[:2] in ("b'", 'b"') and text[-1:] == text[1]:  # str(bytes) in Python: the tutorial's clients send that
        text = text[2:-1]
    if text[:5].lower() == "data:":
        head = DATA_URL.match(text)
        if not head:
            raise bad_request(field, "a data: URL of something else than a picture in base64")
        text = text[head.end() :]
    text = text.translate(LINE_ENDS)
    if ("-" in text or "_" in text) and "+" not in text and "/" not in text:
        text = text.translate(URL_SAFE)
    return text if text.endswith("=") else text + "=" * (-len(text) % 4)
