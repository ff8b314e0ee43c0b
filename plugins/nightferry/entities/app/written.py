"""What `nightferry.yaml` may say: whatever the night would refuse is refused when it is read."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from nightferry.entities.app.contract import DEBIAN_12, DEBIAN_13
from nightferry.entities.app.exchange import Exchange
from nightferry.entities.frozen import Frozen
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.service_file.quantity import memory
from nightferry.entities.service_file.settings import variable_fault
from nightferry.masking import mask

MOST_CHECKS = 100
_SHELLS = ("sh", "bash", "dash")
_OF_A_SHELL = re.compile(r"[$`|&;<>*]")
_PATH = Annotated[str, StringConstraints(pattern=r"^/[^\s#]*$", max_length=200)]
_SYSTEM_FOLDERS = ("/proc", "/sys", "/dev", "/tmp")  # noqa: S108 (what a pod has there of its own)


def _words(value: object) -> object:
    """A command as it is written in a shell's words."""
    if not isinstance(value, str):
        return value
    words = shlex.split(value)
    if not words:
        raise ValueError("a command is wanted")
    special = next((word for word in words if _OF_A_SHELL.search(word)), None)
    if special and posixpath.basename(words[0]) not in _SHELLS:
        raise ValueError(
            f"the command is run without a shell, which {special!r} needs; put it into a script that ends with exec, "
            "and name that: sh start.sh"
        )
    return tuple(words)


def _inside(value: str) -> str:
    """A path below the app's folder."""
    parts = value.removesuffix("/").split("/")
    if value != "." and (set(parts) & {"", ".", ".."} or value.startswith("/")):
        raise ValueError(f"a path below the app's folder is wanted, not {value!r}")
    return value


def _plain(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError(f"a text without line breaks is wanted, not {value!r}")
    return value


Words = Annotated[tuple[Annotated[str, AfterValidator(_plain)], ...], BeforeValidator(_words)]
Inside = Annotated[str, AfterValidator(_plain), AfterValidator(_inside)]
Package = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$", max_length=100)]


class Written(Frozen):
    """The file's keys, all of which may be left out."""

    base: str = DEBIAN_12
    recipe: Literal["python"] | None = None
    dockerfile: Inside | None = None
    requirements: Inside | None = None
    system: tuple[Package, ...] = Field(default=(), max_length=100)
    start: Words | None = None
    folder: Inside = "."
    environment: dict[str, str] = Field(default_factory=dict)
    model_at: str | None = None
    port: int = Field(default=8080, ge=1024, le=65535)
    ready: _PATH | None = None
    live: _PATH | None = None
    version: _PATH | None = None
    metrics: _PATH | None = None
    scratch: str = "64Mi"
    checks: tuple[Exchange, ...] = Field(default=(), max_length=MOST_CHECKS)
    test: Words | None = None
    test_requirements: Inside | None = None
    tests_need_model: bool = False

    @field_validator("base")
    @classmethod
    def _base(cls, value: str) -> str:
        if value in (DEBIAN_12, DEBIAN_13):
            return value
        try:
            return str(ImageRef.parse(value))
        except ValueError as fault:
            raise ValueError(f"{DEBIAN_12}, {DEBIAN_13}, or an image by its digest, not {value!r}") from fault

    @field_validator("environment", mode="before")
    @classmethod
    def _environment(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {str(name): _variable(str(name), item) for name, item in value.items()}

    @field_validator("checks", mode="before")
    @classmethod
    def _checks(cls, value: object) -> object:
        """What YAML has and JSON has not could neither be sent nor be recorded."""
        try:
            return json.loads(json.dumps(value, allow_nan=False))
        except RecursionError as fault:
            raise ValueError("it is nested too deeply") from fault
        except (TypeError, ValueError) as fault:
            raise ValueError(f"it holds what JSON does not have, as a date without quotes ({fault})") from fault

    @field_validator("model_at")
    @classmethod
    def _model_at(cls, value: str) -> str:
        where = image_path(_plain(value))
        if where in ("/", "/app") or any(where == one or where.startswith(f"{one}/") for one in _SYSTEM_FOLDERS):
            raise ValueError(f"{where} of the image is not a place for a model")
        return value

    @field_validator("scratch")
    @classmethod
    def _scratch(cls, value: str) -> str:
        memory(value)
        return value

    @model_validator(mode="after")
    def _of_one_recipe(self) -> Written:
        """What our Dockerfile reads is nothing to the app's own."""
        if self.dockerfile is None:
            return self
        for name in ("recipe", "requirements", "system", "folder", "test_requirements", "environment", "base"):
            if name in self.model_fields_set:
                raise ValueError(f"{name} is not for an app with a Dockerfile of its own; say it there")
        return self


def _variable(name: str, value: Any) -> str:
    wrong = variable_fault(name)
    if wrong:
        raise ValueError(f"{name}: {wrong}")
    if value is None:
        raise ValueError(f'{name} has no value; write "" for an empty one')
    if not isinstance(value, str | int | float):
        raise ValueError(f"{name} is neither a text nor a number; put it into quotes")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if mask(f"{name}={text}") != f"{name}={text}":
        raise ValueError(
            f"{name} looks like a secret; keep it in a Kubernetes Secret, and name that in the service file"
        )
    if not text.isprintable():
        raise ValueError(f"{name} has a line break")
    return text


def image_path(written: str) -> str:
    """Where in the image a path of the contract is: below /app unless it begins with a slash."""
    return posixpath.normpath(posixpath.join("/app", written))
