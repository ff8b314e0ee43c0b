"""An HTTP exchange with a known answer: a check of an app, or a golden example of its model.

{request: {post: /predict, json: {rows: [[1, 2]]}}, answer: {status: 200, json: {churn: [0.11]}, tolerance: 0.01}}
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from nightferry.entities.frozen import Frozen

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
TOLERANCE = 1e-3
"""Relative and absolute: another CPU rounds otherwise, another model differs by more."""
HeaderName = Annotated[str, StringConstraints(pattern=r"^[-!#$%&'*+.^_`|~0-9A-Za-z]+$", max_length=100)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^([!-~]([ -~]*[!-~])?)?$", max_length=8000)]
Path = Annotated[str, StringConstraints(pattern=r"^/[^\s#]*$", max_length=2000)]


class _ByAlias(Frozen):
    """`json` is taken as a name by pydantic itself."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)


class Request(_ByAlias):
    """What is asked."""

    method: str
    path: Path
    """With its query, as `/score?top=3`."""
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    json_: Any = Field(default=None, alias="json")
    """The body as a JSON value; None: there is none, or it is `text`."""
    text: str | None = None
    """The body as it is."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        """`{post: /predict}` is `{method: post, path: /predict}`."""
        if not isinstance(value, dict) or "method" in value:
            return value
        named = [key for key in value if str(key).lower() in METHODS]
        if len(named) != 1:
            raise ValueError(f"a request names one method and its path, as post: /predict ({', '.join(METHODS)})")
        rest = {key: item for key, item in value.items() if key != named[0]}
        return {"method": str(named[0]).lower(), "path": value[named[0]], **rest}

    @model_validator(mode="after")
    def _one_body(self) -> Request:
        if self.method not in METHODS:
            raise ValueError(f"{self.method} is not a method; one of {', '.join(METHODS)}")
        if self.json_ is not None and self.text is not None:
            raise ValueError("the body is given twice, as json and as text")
        return self


class Answer(_ByAlias):
    """What has to come back."""

    status: int = Field(default=200, ge=100, le=599)
    json_: Any = Field(default=None, alias="json")
    """What the answer's JSON has to hold: of an object the members that are named, of a list all of them, numbers
    within the tolerance. None: it is not looked at."""
    text: str | None = None
    """What the answer's text has to contain."""
    label: str | None = None
    """The label that the answer has to give, at `at`."""
    at: str = ""
    """Where in the answer's JSON the label is: members and positions with dots between, as `churn.0`; empty: the
    whole answer."""
    tolerance: float = Field(default=TOLERANCE, ge=0, allow_inf_nan=False)


class Exchange(_ByAlias):
    """A request and its answer."""

    request: Request
    answer: Answer = Answer()

    def __str__(self) -> str:
        return f"{self.request.method.upper()} {self.request.path}"
