"""The documents keep in step with the code."""

from __future__ import annotations

import re
from pathlib import Path

from nightferry.entities.reason import Reason

ROOT = Path(__file__).resolve().parents[2]


def test_the_runbook_explains_every_reason_code_and_no_other():
    """An operator finds each code, and none that does not exist."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("## Reason codes")[2]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    explained = [code for row in rows for code in re.findall(r"`([a-z_]+)`", row)]

    assert sorted(explained) == sorted(Reason)


def test_every_link_between_documents_leads_somewhere():
    """A relative link names a file that is there."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    broken = [
        f"{document.relative_to(ROOT)}: {link}"
        for document in documents
        for link in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
        if "://" not in link and not (document.parent / link).exists()
    ]

    assert broken == []
