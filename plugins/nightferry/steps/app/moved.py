"""Say which packages moved between two locks."""

from __future__ import annotations

from collections.abc import Mapping

SHOWN = 12


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """`flask 3.0.1 → 3.1.0, new: x 1.0, gone: y 2.0`; empty where nothing moved."""
    words = [
        f"{name} {before[name]} → {after[name]}"
        for name in sorted(after)
        if name in before and before[name] != after[name]
    ]
    words += [f"new: {name} {after[name]}" for name in sorted(after.keys() - before.keys())]
    words += [f"gone: {name} {before[name]}" for name in sorted(before.keys() - after.keys())]
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
