#!/usr/bin/env python3
"""Ask a service which digit a picture shows, the way the original tutorial's clients do.

    python examples/digits/client.py http://127.0.0.1:8080 digit.png

Prints the best label. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT = 10
"""Seconds."""


def main(argv: list[str] | None = None) -> int:
    """Print the best label; return 0, or 1 with one sentence on what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="the service, such as http://127.0.0.1:8080")
    parser.add_argument("picture", type=Path, help="a PNG, JPEG, GIF, WebP or BMP file")
    arguments = parser.parse_args(argv)
    try:
        print(best_label(arguments.address, arguments.picture.read_bytes()))
    except OSError as error:
        print(f"client.py: {_explain(error, arguments.address)}", file=sys.stderr)
        return 1
    except (ValueError, LookupError, TypeError) as error:
        print(f"client.py: {arguments.address} gave no answer of /score: {error}", file=sys.stderr)
        return 1
    return 0


def best_label(address: str, picture: bytes) -> str:
    """Return the label with the highest score.

    Raises:
        OSError: the service does not answer, or refuses the picture.
        ValueError, LookupError, TypeError: what answered is not such a service.
    """
    body = json.dumps({"input": json.dumps([base64.b64encode(picture).decode()])}).encode()
    request = urllib.request.Request(
        address.rstrip("/") + "/score", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        return str(json.load(response)["result"][0][0][0][0])


def _explain(error: OSError, address: str) -> str:
    if isinstance(error, urllib.error.HTTPError):
        try:
            problem = json.load(error)
            return f"{address} refuses it: {problem['field']}: {problem['detail']}"
        except (ValueError, LookupError, TypeError):
            return f"{address} answers {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"{address} does not answer: {error.reason}"
    if isinstance(error, TimeoutError):
        return f"{address} did not answer within {TIMEOUT} s"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
