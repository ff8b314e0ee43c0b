"""The documents keep in step with the code."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import get_args, get_origin

import yaml
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import Gate, ServiceSpec
from nightferry.settings import Settings, variable
from pydantic import BaseModel

from serving_app import settings as serving

ROOT = Path(__file__).resolve().parents[2]


def test_the_runbook_explains_every_reason_code_and_no_other():
    """An operator finds each code, and none that does not exist."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("## Reason codes")[2]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    explained = [code for row in rows for code in re.findall(r"`([a-z0-9_]+)`", row)]

    assert sorted(explained) == sorted(Reason)


def keys_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    """The leaves of a service file, as the runbook writes them."""
    keys: set[str] = set()
    for field_name, field in model.model_fields.items():
        name = field.alias or field_name
        inner = [kind for kind in _kinds(field.annotation) if issubclass(kind, BaseModel) and kind is not Gate]
        many = "[]" if get_origin(field.annotation) is tuple else ""
        keys |= keys_of(inner[0], f"{prefix}{name}{many}.") if inner else {prefix + name}
    return keys


def _kinds(annotation: object) -> list[type]:
    if isinstance(annotation, type):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _kinds(part)]


def test_the_runbook_explains_every_key_of_the_service_file_and_no_other():
    """What can be written in a service file can be looked up."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("## Adding a service")[2]
    explained = re.findall(r"^\| `([a-z0-9_.\[\]]+)`", text.partition("## Logs")[0], flags=re.MULTILINE)

    assert sorted(explained) == sorted(keys_of(ServiceSpec))


def test_the_services_page_explains_every_setting_and_no_other():
    """What the service is set with can be looked up."""
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8").partition("## Settings")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    explained = [name for row in rows for name in re.findall(r"`(SERVING_\w+)`", row)]

    assert sorted(explained) == sorted(serving.variable(field.name) for field in dataclasses.fields(serving.Settings))


def test_the_runbook_explains_every_setting_with_its_default_and_no_other():
    """What nightferry is set with can be looked up."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition("## Settings")[2].partition("\n## ")[0]
    explained = dict(re.findall(r"^\| `(NIGHTFERRY_\w+)` \| ([^|]+) \|", text, flags=re.MULTILINE))
    fields = {variable(name): field for name, field in Settings.model_fields.items()}
    defaults = {name: field.default for name, field in fields.items() if isinstance(field.default, str | int | float)}

    assert sorted(explained) == sorted([*fields, "NIGHTFERRY_DEBUG"])  # which the command reads by itself
    assert {name: explained[name].partition(" (up")[0] for name in defaults} == {
        name: f"`{default}`" if isinstance(default, str) else f"{default:g}" for name, default in defaults.items()
    }


def test_a_commit_is_checked_as_make_check_does_before_its_tests():
    """The hooks of pre-commit and the Makefile run the same programs."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    commands = re.findall(r"^\t\$\(BIN\)/(.+)$", recipe, flags=re.MULTILINE)

    assert [hook["entry"] for repository in hooks for hook in repository["hooks"]] == [
        f".venv/bin/{command}" for command in commands
    ]


def test_every_promise_names_tests_that_are_there():
    """A promise that nothing holds is none."""
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    promises = re.findall(r"^\* .+(?:\n  .+)*", text, flags=re.MULTILINE)
    named = {promise: re.findall(r"`([\w/]+\.py)::(\w+)`", promise) for promise in promises}

    assert [promise for promise, tests in named.items() if not tests] == []
    assert [f"{file}::{test}" for tests in named.values() for file, test in tests if not _is_there(file, test)] == []


def _is_there(file: str, test: str) -> bool:
    path = ROOT / "tests" / file
    return path.is_file() and f"\ndef {test}(" in path.read_text(encoding="utf-8")


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
