"""What a build needs of this machine and no image may hold: its certificates, and where pip finds packages.

Both go to BuildKit as secrets. A Dockerfile uses them so, and needs nothing else to work behind a proxy that intercepts
TLS or with a package index of one's own:

    RUN --mount=type=secret,id=ca --mount=type=secret,id=pipconf \\
        PIP_CONFIG_FILE=/run/secrets/pipconf pip install …

BuildKit refuses a secret larger than 500 kB.
"""

from __future__ import annotations

import ast
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nightferry.clients.scratch import scratch

BUNDLE_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
BUNDLE_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
INDEX_OPTIONS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
"""Those of pip's options that say where packages come from."""


@contextmanager
def build_secrets(environment: Mapping[str, str] | None = None) -> Iterator[list[str]]:
    """The words that hand the secrets to `buildctl build`; their files exist until the block ends.

    Args:
        environment: variables to read; this process's where None.
    """
    env = os.environ if environment is None else environment
    bundle = ca_bundle(env)
    with scratch("nightferry-secrets-") as folder:
        config = folder / "pip.conf"
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(pip_configuration(env, certificates=bundle is not None))
        words = ["--secret", f"id=pipconf,src={config}"]
        if bundle is not None:
            words += ["--secret", f"id=ca,src={bundle}"]
        yield words


def ca_bundle(environment: Mapping[str, str]) -> Path | None:
    """The certificate authorities this machine trusts: what its variables name, else the system's bundle."""
    system = ssl.get_default_verify_paths().cafile
    named = [environment.get(variable) for variable in BUNDLE_VARIABLES]
    return next((Path(name) for name in [*named, *BUNDLE_FILES, system] if name and Path(name).is_file()), None)


def pip_configuration(environment: Mapping[str, str], *, certificates: bool) -> str:
    """A pip.conf with where this machine's pip finds packages, to be read inside a build."""
    options = {key: value for key, value in _pip_options(environment).items() if key in INDEX_OPTIONS}
    proxy = environment.get("HTTPS_PROXY") or environment.get("https_proxy")
    if proxy:
        options.setdefault("proxy", proxy)
    if certificates:
        options["cert"] = "/run/secrets/ca"
    lines = [f"{key} = {value}".replace("\n", "\n    ") for key, value in sorted(options.items())]
    return "\n".join(["[global]", *lines, ""])


def _pip_options(environment: Mapping[str, str]) -> dict[str, str]:
    """pip's own configuration as pip merges it: its files, then variables. None of it where there is no pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    merged: dict[str, str] = {}
    # Lines such as `global.index-url='https://…'`: a variable wins over a file.
    for section in ("global.", "install.", ":env:."):
        for line in done.stdout.splitlines():
            key, _, quoted = line.partition("=")
            if key.startswith(section):
                merged[key.removeprefix(section)] = _unquoted(quoted)
    return merged


def _unquoted(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text
