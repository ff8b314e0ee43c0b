"""`nightferry init`: the file of a new service, and with an app its repository."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.output import show_json
from nightferry.clients.person import me
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.services.new_app import new_app
from nightferry.steps.services.new_service import service_file

TEMPLATE = Path(__file__).with_name("templates") / "app"
EXAMPLES = """\
  nightferry init churn                       writes churn.yaml: a model in ONNX, served by the stock service
  nightferry services add churn.yaml
  nightferry models publish churn model.onnx --metric auc=0.91 --examples test.csv
  nightferry release churn --wait

  nightferry init churn --from app            makes churn/, a git repository: a Flask app, its tests, its contract,
                                              a script that trains its model, and churn/churn.yaml
"""
APP_WRITTEN = """\
Made {folder}: a git repository with a Flask app, its tests and its contract, train.py, and {service}.yaml.
Next, as its README.md explains:
  cd {typed}
  python3.11 -m venv .venv && .venv/bin/pip install -r app/requirements.txt
  .venv/bin/python train.py
  nightferry services add {service}.yaml
  nightferry models publish {service} model.joblib --metrics metrics.json --examples examples.jsonl
  nightferry release {service} --wait"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `init`."""
    parser = command(subparsers, "init", init, HELP["init"], EXAMPLES)
    parser.add_argument("service", metavar="SERVICE", help="its name: lower-case letters, digits and dashes")
    parser.add_argument(
        "--from",
        dest="begin",
        choices=("app", "model"),
        default="model",
        help="what there is: an app of your own, which is begun too, or a model alone (%(default)s)",
    )
    parser.add_argument("--owner", metavar="NAME", help="who answers for it (you)")
    parser.add_argument(
        "--out", metavar="PATH", type=Path, help="where to write it (SERVICE.yaml; with an app, the folder SERVICE)"
    )


def init(arguments: argparse.Namespace) -> int:
    """Write it, and never over another."""
    owner = arguments.owner or me("--owner")
    return _app(arguments, owner) if arguments.begin == "app" else _model(arguments, owner)


def _model(arguments: argparse.Namespace, owner: str) -> int:
    content = service_file(arguments.service, owner)
    path = arguments.out or Path(f"{arguments.service}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError as fault:
        raise Permanent(Reason.SERVICE_FILE_INVALID, f"{path} is there already; nothing was written.") from fault
    except OSError as fault:
        raise Permanent(Reason.SERVICE_FILE_INVALID, f"{path} cannot be written ({fault.strerror}).") from fault
    if arguments.json:
        show_json({"service": arguments.service, "file": str(path)})
    else:
        print(f"Wrote {path}. Next: nightferry services add {path}")
    return OK


def _app(arguments: argparse.Namespace, owner: str) -> int:
    try:
        author = me("--owner")
    except Permanent:  # an account without a name commits too
        author = owner
    made = new_app(arguments.service, owner, author, arguments.out or Path(arguments.service), TEMPLATE)
    if arguments.json:
        paths = {"folder": str(made.folder), "file": str(made.file)}
        show_json({"service": arguments.service, **paths, "commit": made.commit})
    else:
        first, _, rest = APP_WRITTEN.format(
            folder=made.folder, typed=_typed(made.folder), service=arguments.service
        ).partition("\n")
        print(first)
        print(rest, file=sys.stderr)
    return OK


def _typed(folder: Path) -> str:
    """A folder as a shell's word, which is no option."""
    return shlex.quote(f"./{folder}" if str(folder).startswith("-") else str(folder))
