"""`nightferry init`: the file of a new service."""

from __future__ import annotations

import argparse
from pathlib import Path

from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.output import show_json
from nightferry.clients.person import me
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.services.new_service import service_file

EXAMPLES = """\
  nightferry init churn                       writes churn.yaml: a model in ONNX, served by the stock service
  nightferry services add churn.yaml
  nightferry models publish churn model.onnx --metric auc=0.91 --examples test.csv
  nightferry release churn --wait
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `init`."""
    parser = command(subparsers, "init", init, HELP["init"], EXAMPLES)
    parser.add_argument("service", metavar="SERVICE", help="its name: lower-case letters, digits and dashes")
    parser.add_argument("--owner", metavar="NAME", help="who answers for it (you)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="where to write it (SERVICE.yaml)")


def init(arguments: argparse.Namespace) -> int:
    """Write it, and never over another."""
    content = service_file(arguments.service, arguments.owner or me("--owner"))
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
