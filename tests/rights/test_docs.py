"""docs/rights.md is what the tests try."""

from __future__ import annotations

import re

from tests.rights.airflow_of_our_own import ROOT
from tests.rights.table import CLUSTER, ROLES, ROWS, STORAGE

PAGE = (ROOT / "docs" / "rights.md").read_text(encoding="utf-8")
CONTRIBUTOR = "Storage Blob Data Contributor"


def rows_after(header: str) -> list[list[str]]:
    """The cells of the table with that first heading."""
    lines = PAGE.partition(f"| {header} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_is_the_table_that_is_tried() -> None:
    tried = [[row.what, *(row.yes if role in row.allowed else "no" for role in ROLES), row.decides] for row in ROWS]
    assert [[cell.strip("| ") for cell in row] for row in rows_after("what")] == tried


def test_every_cell_is_tried() -> None:
    assert [row.what for row in ROWS if not (row.calls or row.commands)] == []


def test_the_page_says_what_each_role_is_given() -> None:
    """A role has what the one before it has, and what is said beside."""
    written: set[str] = set()
    for _, role, storage, cluster in rows_after("you are"):
        if f"`{CONTRIBUTOR}`" in storage:
            written |= set(re.findall(r"`(models|ledger)`", storage.partition(CONTRIBUTOR)[2]))
        assert {name for name, right in STORAGE[role].items() if right == "write"} == written, role
        assert f"`{CLUSTER[role]}`" in cluster, role
