"""What a release was judged by, kept at the Service for as long as the record cannot be written to.

Users are sent back without the record; this is what tells it afterwards why, so that the next night does not ship the
same again. Whoever looks next writes it down.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nightferry.clients.doors.cluster import Manifest
from nightferry.errors import NightferryError, Permanent
from nightferry.manifests import names

_LONGEST = 2000
"""Characters of a sentence: the cluster holds annotations of limited size."""


def verdict_note(release: str, why: NightferryError, met: Mapping[str, Any]) -> dict[str, str]:
    """The annotations that say why a release was taken back, and how many users met it."""
    told = {name: met[name] for name in ("share", "seconds", "requests") if name in met}
    said = {"release": release, "reason": why.reason, "sentence": why.sentence[:_LONGEST], "met": told}
    return {names.VERDICT: json.dumps(said, sort_keys=True, ensure_ascii=False)}


def noted_verdict(stable: Manifest | None, release: str) -> tuple[Permanent, dict[str, Any]] | None:
    """Why the release was taken back, and how many users met it; None where the Service does not say it."""
    written = names.annotations_of(stable).get(names.VERDICT, "") if stable else ""
    try:
        said = json.loads(written) if written else {}
        if not release or said.get("release") != release:
            return None
        return Permanent(str(said["reason"]), str(said["sentence"])), dict(said["met"])
    except (ValueError, TypeError, KeyError, AttributeError):  # changed by hand
        return None
