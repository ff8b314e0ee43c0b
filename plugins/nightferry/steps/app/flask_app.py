"""How an app that names no start is started: a Flask app `app:app` or `create_app()`, under granian."""

from __future__ import annotations

import ast
from pathlib import Path

from nightferry.entities.app.contract import CONTRACT
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

SERVER = "granian"
"""The package that is installed beside the app's own for it."""
_ASGI = frozenset(("FastAPI", "Starlette", "Quart", "Litestar"))
BARE_ASGI = "async def"
"""What makes an app that is a coroutine itself."""


def default_start(folder: Path, port: int) -> tuple[str, ...]:
    """The command for the app in `app.py` of this folder. The file is read, and never run.

    Raises:
        Permanent: (app_contract_invalid) there is neither `app` nor `create_app` in it.
    """
    file = folder / "app.py"
    if not file.is_file():
        raise _none("there is no app.py")
    try:
        names = _names(ast.parse(file.read_bytes()).body)
    except (SyntaxError, ValueError) as fault:
        line = getattr(fault, "lineno", None)
        where = f", line {line}" if line else ""
        raise _none(f"app.py{where} is not Python: {getattr(fault, 'msg', fault)}") from fault
    except (RecursionError, MemoryError) as fault:  # what ast raises of what is nested too deeply
        raise _none("app.py is nested too deeply to be read") from fault
    if "app" in names:
        interface, target = ("asgi" if names["app"] in {*_ASGI, BARE_ASGI} else "wsgi"), ["app:app"]
    elif "create_app" in names:
        interface, target = "wsgi", ["--factory", "app:create_app"]
    else:
        raise _none("app.py has neither app nor create_app()")
    return (SERVER, "--interface", interface, "--host", "0.0.0.0", "--port", str(port), *target)  # noqa: S104


def _names(body: list[ast.stmt]) -> dict[str, str]:
    """What a module defines at its top, also below `if` and `try`; of what is made by a call, what was called."""
    found: dict[str, str] = {}
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found |= {target.id: _called(statement.value) for target in targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found[statement.name] = ""
        elif isinstance(statement, ast.AsyncFunctionDef):
            found[statement.name] = BARE_ASGI
        elif isinstance(statement, ast.ImportFrom | ast.Import):
            found |= {(alias.asname or alias.name).partition(".")[0]: "" for alias in statement.names}
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            found |= _names([*statement.body, *getattr(statement, "orelse", [])])
    return found


def _called(value: ast.expr | None) -> str:
    called = value.func if isinstance(value, ast.Call) else None
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def _none(why: str) -> Permanent:
    return Permanent(
        Reason.APP_CONTRACT_INVALID,
        f"It is not known how the app is started: {why}; put a Flask app named app into app.py, or say `start:` in "
        f"{CONTRACT}.",
    )
