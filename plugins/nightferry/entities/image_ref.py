"""An image, always by digest."""

from __future__ import annotations

import re
from dataclasses import dataclass

DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class ImageRef:
    """`repository@sha256:…`. A tag can move, so it never names what is deployed."""

    repository: str
    """Registry, path and name without a tag, e.g. `127.0.0.1:5000/digits`."""
    digest: str

    def __post_init__(self) -> None:
        if not DIGEST.match(self.digest):
            raise ValueError(f"not an image digest: {self.digest!r}")

    @classmethod
    def parse(cls, text: str) -> ImageRef:
        """Read `repository@sha256:…`.

        Raises:
            ValueError: it has no digest.
        """
        repository, found, digest = text.partition("@")
        if not found or not repository:
            raise ValueError(f"an image is named by digest, repository@sha256:…, not {text!r}")
        return cls(repository, digest)

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"
