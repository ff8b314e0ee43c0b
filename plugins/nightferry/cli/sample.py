"""`nightferry sample`: publish the sample model unless one is there, release it, and ask the service one question.

`make release` runs it after `nightferry up`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from nightferry import settings as settings_of
from nightferry.cli.arguments import Parser, Subparsers
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.lookup import require_checkout, spec_of
from nightferry.cli.models import upload
from nightferry.cli.record import address_of
from nightferry.cli.releasing.release import wait
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.service_client import ServiceClient
from nightferry.entities.decision import ReleaseRequest
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import Permanent
from nightferry.settings import Settings

SERVICE = "digits"
EXAMPLES = """\
examples:
  nightferry up && nightferry sample    what `make release` does
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `sample`."""
    add: Parser = subparsers.add_parser("sample", help=HELP["sample"], description=__doc__, epilog=EXAMPLES)
    add.set_defaults(run=sample)


def sample(arguments: argparse.Namespace) -> int:
    """Publish, release, ask, and say where to look next."""
    require_checkout()
    settings, clock = settings_of.load(), SystemClock()
    spec = spec_of(settings, SERVICE)
    if not connect.models(settings, spec.model).listings():
        publish_sample(settings, spec)
    code = wait(settings, spec, ReleaseRequest(reason="make release"), clock)
    if code == OK:
        address = address_of(settings, spec, "production")
        print(f"\n{address} is where {SERVICE} answers.")
        print(ask(settings, spec, address))
    print(where_next(settings))
    return code


def publish_sample(settings: Settings, spec: ServiceSpec) -> None:
    """Train the sample model (a few seconds) and publish it. Raises as `publish_model`."""
    with tempfile.TemporaryDirectory(prefix="nightferry-sample-") as folder:
        print("… training the sample model (a few seconds)", file=sys.stderr)
        _run("train.py", "--out", folder)
        published = upload(settings, spec, Path(folder))
    print(f"✓ published the sample model {published.version}", file=sys.stderr)


def ask(settings: Settings, spec: ServiceSpec, address: str) -> str:
    """Send one golden picture to the service, as any user would; what it answered, for people."""
    version = ServiceClient(address).get("/version").document()["model"]["version"]
    models = connect.models(settings, spec.model)
    pinned, manifest = models.pin(version)
    example = next((example for example in manifest.golden if "image" in example), None)
    if example is None:
        return f"The model {version} has no golden picture to ask about."
    with tempfile.TemporaryDirectory(prefix="nightferry-sample-") as folder:
        picture = Path(folder) / "picture.png"
        models.download(pinned, str(example["image"]), picture)
        answer = _run("client.py", address, str(picture)).strip()
    return f"It was shown a picture of a {example['label']} and says: {answer}"


def where_next(settings: Settings) -> str:
    """Where a person looks next."""
    address, user, password = settings.airflow_url, settings.airflow_user, settings.airflow_password_file
    return "\n".join(
        (
            "\nWhere to look next:",
            f"  Airflow         {address}  user {user}, password in {password}",
            f"  the record      nightferry history {SERVICE}",
            "  every part      nightferry status",
            "  another model   python examples/digits/train.py --variant linear --out DIR",
            f"                  nightferry models publish {SERVICE} DIR && nightferry release {SERVICE} --wait",
            "  stop it         make down",
        )
    )


def _run(script: str, *words: str) -> str:
    """Run one of the sample's scripts; its output."""
    file = settings_of.project_root() / "examples" / "digits" / script
    done = subprocess.run([sys.executable, str(file), *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Permanent(Reason.REQUEST_INVALID, f"{file} failed: {last}")
    return done.stdout
