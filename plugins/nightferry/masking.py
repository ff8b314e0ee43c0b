"""Mask secrets in what is written: the one place that knows what a password, a key, a token or a signature looks like.

Sentences of errors are masked where they are born (`nightferry.errors`), entries where they join the record, answers
where the command line prints them. It works by shape, so it also finds what another system repeats to us.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar, cast

_T = TypeVar("_T")
MASK = "***"
MOST_WORDS = 500
"""Characters of what people and other systems say in a field of its own."""

_NAMES = (
    r"(?:password|passwd|pwd|secret|token|signature|credential|account_?key|access_?key|shared_?key|api[-_]?key"
    r"|(?<![\w.-])sig)"
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(shape, re.IGNORECASE), kept)
    for shape, kept in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", MASK),
        # https://user:password@host and https://token@host; ssh://git@host names a user and stays.
        (r"(\bssh://[^:/?#@\s]*:)[^/?#\s]+@", rf"\1{MASK}@"),
        (r"(?<!ssh:)//[^/?#\s]+@", f"//{MASK}@"),
        # user:password@host:path without a scheme; digits:1.0@sha256:… is an image, mailto:eva@example.com a person.
        (r"(?<![\w/.:@-])(?!mailto:)([\w.+-]+:)[^\s/:@]+@(?!sha\d+:)(?=[\w.-]+[:/])", rf"\1{MASK}@"),
        # An Authorization header, or the part of it that names its kind and then the secret.
        (r"(\bauthorization[\"']?\s*[:=]\s*[\"']?)(?:\w+ +)?[^\s\"',;]+", rf"\1{MASK}"),
        (r"\b(bearer|basic|sharedkey) +(?=\S*(?:\d|(?-i:[a-z][A-Z])|[=:]))[\w.~+/:=-]{8,}", rf"\1 {MASK}"),
        # AccountKey=…;  ?sig=…&  --token=…  "password": "…"
        (rf"({_NAMES}[\"']? ?= ?[\"']?)[^\s\"'&;,]+", rf"\1{MASK}"),
        (rf"([\"'][\w.-]{{0,40}}{_NAMES}[\"']\s*:\s*[\"'])[^\"']+", rf"\1{MASK}"),
        # Tokens that say themselves what they are: GitHub, GitLab, JSON Web Tokens.
        (r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)", MASK),
    )
)


def mask(text: str) -> str:
    """The text with `***` for each secret in it; a text without one as it is, and masked text stays as it is."""
    for shape, kept in _SHAPES:
        text = shape.sub(kept, text)
    return text


def mask_words(text: str) -> str:
    """The same within MOST_WORDS characters: a mask may be longer than what it hides, and what is written with a bound
    is read again with it."""
    return mask(text)[:MOST_WORDS]


def mask_all(value: _T) -> _T:
    """The same for every string inside a JSON-like value; keys and other types stay as they are."""
    return cast(_T, _masked(value))


def secrets_in(value: Any, key: str = "") -> Iterator[str]:
    """Where in a JSON-like value there are secrets: `checks.0.request.path`."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from secrets_in(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from secrets_in(item, f"{key}.{number}")
    elif isinstance(value, str) and mask(value) != value:
        yield key


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        masked = mask(value)
        return value if masked == value else masked  # so that a reason code stays one
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value
