"""The stock service as it is installed, in place of a repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from nightferry.clients.stock_source import StockSource
from nightferry.entities.candidate import PinnedSource
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An installation."""
    for name in ("serving_app/app.py", "serving_app/web/try.js", "tests/serving_app/test_app.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def pinned(root: Path) -> PinnedSource:
    return StockSource(root).pin("", "serving_app", None)


def test_its_version_is_its_content(root: Path) -> None:
    first = pinned(root)
    assert first.commit == first.tree
    assert pinned(root) == first
    (root / "serving_app" / "app.py").write_text("upgraded")
    assert pinned(root).tree != first.tree


def test_what_python_compiled_is_no_content(root: Path) -> None:
    first = pinned(root)
    for name in ("serving_app/__pycache__/app.pyc", "serving_app/old.pyc"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"1")
    assert pinned(root) == first
    StockSource(root).export(first.commit, "serving_app", root / "copy")
    assert sorted(path.name for path in (root / "copy").rglob("*") if path.is_file()) == ["app.py", "try.js"]


def test_it_is_written_as_it_was_pinned_with_its_tests(root: Path) -> None:
    source, found = StockSource(root), pinned(root)
    assert found.tests == "tests/serving_app"
    (root / "copy").mkdir()
    (root / "copy" / "left.py").write_text("of an earlier try")
    source.export(found.commit, "serving_app", root / "copy")
    source.export(found.commit, str(found.tests), root / "tests-copy")
    assert (root / "copy" / "web" / "try.js").read_text() == "serving_app/web/try.js"
    assert not (root / "copy" / "left.py").exists()
    assert (root / "tests-copy" / "test_app.py").is_file()


def test_an_upgrade_between_decision_and_build_is_said(root: Path) -> None:
    found = pinned(root)
    (root / "serving_app" / "app.py").write_text("upgraded")
    with pytest.raises(Permanent) as raised:
        StockSource(root).export(found.commit, "serving_app", root / "copy")
    assert raised.value.reason is Reason.DECISION_OUTDATED
    assert not (root / "copy").exists()


def test_no_other_version_can_be_had(root: Path) -> None:
    with pytest.raises(Permanent) as raised:
        StockSource(root).pin("a" * 40, "serving_app", None)
    assert raised.value.reason is Reason.SOURCE_REF_UNKNOWN


def test_an_installation_without_it_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(Permanent) as raised:
        pinned(tmp_path)
    assert raised.value.reason is Reason.SETTING_MISSING
