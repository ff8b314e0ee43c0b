"""Builds get the machine's certificates and package index as secrets, in files that are gone afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nightferry.clients.buildkit import secrets as build_secrets


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine without any configuration of pip."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}


def files(words: list[str]) -> dict[str, Path]:
    """Secret id -> file, of buildctl's words."""
    given = [dict(part.split("=", 1) for part in word.split(",")) for word in words[1::2]]
    return {secret["id"]: Path(secret["src"]) for secret in given}


def test_the_index_of_this_machine_reaches_the_build(environment: dict[str, str]) -> None:
    environment["PIP_INDEX_URL"] = "https://user:password@index.example/simple"
    with build_secrets.build_secrets(environment) as words:
        config = files(words)["pipconf"]
        assert "index-url = https://user:password@index.example/simple\n" in config.read_text()
        assert config.stat().st_mode & 0o777 == 0o600
        assert "password" not in " ".join(words)
    assert not config.exists()


def test_a_variable_wins_over_a_file(environment: dict[str, str], tmp_path: Path) -> None:
    own = tmp_path / "pip.conf"
    own.write_text("[global]\nindex-url = https://file.example/\nextra-index-url =\n    https://a/\n    https://b/\n")
    environment |= {"PIP_CONFIG_FILE": str(own), "PIP_INDEX_URL": "https://variable.example/"}
    text = build_secrets.pip_configuration(environment, certificates=False)
    assert "index-url = https://variable.example/\n" in text
    assert "file.example" not in text
    assert "extra-index-url = \n    https://a/\n    https://b/\n" in text


def test_other_options_of_pip_stay_here(environment: dict[str, str]) -> None:
    environment |= {"PIP_FIND_LINKS": "/here", "PIP_CACHE_DIR": "/here"}
    assert "/here" not in build_secrets.pip_configuration(environment, certificates=True)


def test_a_proxy_reaches_the_build(environment: dict[str, str]) -> None:
    environment["HTTPS_PROXY"] = "http://user:password@proxy.example:3128"
    assert f"proxy = {environment['HTTPS_PROXY']}\n" in build_secrets.pip_configuration(environment, certificates=False)


def test_the_first_bundle_that_exists_is_trusted(environment: dict[str, str], tmp_path: Path) -> None:
    bundle = tmp_path / "corporate.pem"
    bundle.write_text("certificates")
    environment |= {"PIP_CERT": str(tmp_path / "missing.pem"), "SSL_CERT_FILE": str(bundle)}
    with build_secrets.build_secrets(environment) as words:
        assert files(words)["ca"] == bundle
        assert "cert = /run/secrets/ca\n" in files(words)["pipconf"].read_text()


def test_without_a_bundle_pip_uses_its_own(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_secrets, "BUNDLE_FILES", ())
    monkeypatch.setattr(build_secrets.ssl, "get_default_verify_paths", lambda: type("Paths", (), {"cafile": None}))
    with build_secrets.build_secrets(environment) as words:
        assert list(files(words)) == ["pipconf"]
        assert "cert" not in files(words)["pipconf"].read_text()
