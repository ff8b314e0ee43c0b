"""Settings: the only reader of the environment.

A setting `NIGHTFERRY_X` comes from the environment, else from a profile of `nightferry login` where one counts, else
from what the sandbox wrote when it started (`sandbox.json` in the state folder), else from its default. An empty value
counts as none. A profile counts where it is chosen with NIGHTFERRY_PROFILE; the current one counts in an installed
wheel that has no sandbox. Where a profile counts, the sandbox's file does not: an installation is never half of each.
Nothing ambient counts: no KUBECONFIG, no Docker context, no cloud login, so that nobody's production is touched by
accident.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from nightferry import profiles
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.profiles import Profile

PREFIX = "NIGHTFERRY_"
SANDBOX_FILE = "sandbox.json"
_OF_A_WHEEL = Path("~/.nightferry")


def installed() -> bool:
    """Whether a wheel was installed, so that no project stands around this file: neither a checkout nor an image."""
    return Path(__file__).resolve().parents[1].name in ("site-packages", "dist-packages")


def project_root() -> Path:
    """The folder that holds dags/ and plugins/: NIGHTFERRY_ROOT, else the checkout this file stands in.

    From a wheel there is none unless it is named; then it is the state folder's place, where nothing is found.
    """
    if named := os.environ.get("NIGHTFERRY_ROOT"):
        return Path(named)
    return _OF_A_WHEEL.expanduser() if installed() else Path(__file__).resolve().parents[2]


def state_folder() -> Path:
    """Where the sandbox and the releases keep their files: NIGHTFERRY_HOME, else `.nightferry` in the project, and in
    the user's home where a wheel knows no project."""
    alone = installed() and not os.environ.get("NIGHTFERRY_ROOT")
    default = _OF_A_WHEEL.expanduser() if alone else project_root() / ".nightferry"
    return Path(os.environ.get("NIGHTFERRY_HOME") or default).absolute()


def how_to_set() -> str:
    """What to do about a setting that is missing, as the end of a sentence."""
    return (
        "set it, or keep it with `nightferry login`"
        if installed()
        else "start the sandbox with `nightferry up`, or set it"
    )


def variable(field: str) -> str:
    """The environment variable of one of the fields of Settings."""
    return PREFIX + field.upper()


def _folders(text: object) -> object:
    return [folder for folder in text.split(os.pathsep) if folder] if isinstance(text, str) else text


def _pairs(text: object) -> object:
    if not isinstance(text, str):
        return text
    pairs = [pair.strip().partition("=") for pair in text.split(os.pathsep) if pair.strip()]
    if not all(name and file for name, _, file in pairs):
        raise ValueError(f"it should be CONNECTION=FILE, several with {os.pathsep!r} between them")
    return {name: file for name, _, file in pairs}


class Settings(BaseSettings):
    """What the environment and the sandbox say: one field for each setting. Make one with `load()`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    root: Path = Field(
        description="The project: dags/, docker/, the source repository `.`. By default the checkout that runs."
    )
    home: Path = Field(description="The state folder. By default in the project, so that `make clean` finds it all.")
    profile: str | None = Field(None, description="A profile of `nightferry login`, instead of the sandbox's settings.")
    services: Annotated[tuple[Path, ...], BeforeValidator(_folders)] = Field(
        (), description="The folders with service files; by default those that belong to the project and its state."
    )

    registry: str | None = Field(None, description="The image registry as HOST:PORT; none, since nobody's is usual.")
    registry_auth_file: Path | None = Field(
        None, description="A Docker config.json with the registry's credentials; the user's own is not read unasked."
    )
    storage_url: str | None = Field(
        None, description="The storage account, reached with the identity of machine or pod."
    )
    storage_connection_file: Path | None = Field(
        None, description="A file that holds the account's connection string: a file, so that no secret is in here."
    )
    s3_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#\s]+/?$",
        description="The S3 storage that models may be in, http(s)://HOST[:PORT]; none: Amazon's own.",
    )
    s3_key_file: Path | None = Field(
        None, description="A file with its key, as AWS's own tools keep one; none: the identity of machine or pod."
    )
    s3_region: str | None = Field(None, description="Its region; a storage of one's own usually takes any.")
    mlflow_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        description="The MLflow server of models at mlflow://; a login is in files, never in the address.",
    )
    mlflow_token_file: Path | None = Field(None, description="A file that holds a bearer token for it.")
    mlflow_user: str | None = Field(None, description="Who we are there, where it asks for a password, not a token.")
    mlflow_password_file: Path | None = Field(None, description="A file that holds this user's password.")
    ledger: str = Field(
        "ledger",
        pattern=r"^[a-z0-9](-?[a-z0-9])*$",
        min_length=3,
        max_length=57,  # of Azure's 63, since the container `<name>-hints` stands beside it
        description="The container that holds the record; the name that the runbook has the operator make.",
    )
    events_queue: str | None = Field(
        None,
        pattern=r"^[a-z0-9](-?[a-z0-9])+$",
        max_length=56,  # of Azure's 63, since `<name>-poison` stands beside it
        description="The Storage Queue that the account's Event Grid events come through; none: models are polled.",
    )
    hook_github_secret_file: Path | None = Field(
        None,
        description="A file with the secret of GitHub's webhooks. Without one, and without the connection "
        "nightferry_hook_github, there is no such endpoint.",
    )
    hook_azure_secret_file: Path | None = Field(
        None, description="The same for Azure Repos: the password, or USER:PASSWORD."
    )
    hook_gitlab_secret_file: Path | None = Field(
        None, description="The same for GitLab: its secret token, or signing token."
    )
    hook_mlflow_secret_file: Path | None = Field(None, description="The same for MLflow.")
    buildkit: str | None = Field(None, description="The address of the BuildKit daemon; there is no usual one.")
    buildctl: str = Field("buildctl", description="BuildKit's client; by default the one on the PATH.")
    buildkit_tls: Path | None = Field(
        None, description="A folder with ca.pem, cert.pem and key.pem; a daemon on this machine needs none."
    )
    docker_host: str = Field(
        "unix:///var/run/docker.sock", description="The Docker engine; by default where Docker listens when installed."
    )
    base_image: str | None = Field(
        None, description="The base image of every release, by digest; an app's `debian-12` is this one too."
    )
    base_image_debian_13: str | None = Field(
        None, description="The base image of apps whose contract says `base: debian-13`, by digest."
    )

    kubeconfig: Path | None = Field(
        None, description="The kubeconfig of nightferry_cluster; without one, a pod's own service account."
    )
    kubeconfigs: Annotated[Mapping[str, Path], BeforeValidator(_pairs)] = Field(
        default_factory=dict, description="The kubeconfigs of other clusters, by the names of their connections."
    )
    service_type: Literal["LoadBalancer", "NodePort", "ClusterIP"] = Field(
        "LoadBalancer", description="How users reach a service whose file does not say: what a cloud's cluster offers."
    )
    gateway_port: int = Field(
        80,
        ge=1,
        le=65535,
        description="Where the hosts of a gateway are called from this machine: the port of http; 443 means https.",
    )
    gateway_metrics: str | None = Field(
        None,
        pattern=r"^http://[^/?#\s]+/?$",
        description="Where the gateway's Envoy tells its figures, http://HOST:PORT, for apps that have none.",
    )
    prometheus_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="A Prometheus that scrapes the pods: canaries are judged by what it knows, not by the pods' pages.",
    )
    deployer_image: str | None = Field(None, description="The image of the deployer's pods, by digest.")
    deployer_namespace: str = Field(
        "nightferry",
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=63,
        description="Where the deployers run; the name in the manifests that come with this version.",
    )
    deployers: int = Field(
        4,
        ge=1,
        description="How many deployer pods run at once in the sandbox: few, since all parts share one machine.",
    )
    builders: int = Field(
        4,
        ge=1,
        description="How many images are built, and how many tried, at once in the sandbox: one that starts beside "
        "thirty others looks like one that does not start.",
    )

    airflow_url: str | None = Field(None, description="Airflow, for `nightferry release`.")
    airflow_user: str | None = Field(None, description="Who asks Airflow for a release.")
    airflow_password_file: Path | None = Field(None, description="A file that holds this user's password.")
    airflow_token_file: Path | None = Field(
        None, description="A file that holds a token of Airflow's, which is used instead of user and password."
    )
    git_seconds: float = Field(
        300.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that one git command may take: enough for 1.5 GB at 5 MB/s, and a decision of three "
        "of them ends within its task's 15 minutes.",
    )

    _environment: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _kept: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _keeper: str = PrivateAttr("")

    def __init__(self, root: Path, home: Path, environment: Mapping[str, str], profile: Profile | None = None) -> None:
        """Read the settings.

        Args:
            root: the project.
            home: the state folder, with the sandbox's file.
            environment: every NIGHTFERRY_… variable that is set.
            profile: what counts instead of the sandbox's file.

        Raises:
            Permanent: (setting_invalid) a value is none that its setting can have, or others can read a file that the
                profile names.
        """
        file = profile.file if profile else home / SANDBOX_FILE
        kept = profile.beside(environment) if profile else _written(file)
        try:
            super().__init__(root=root, home=home, environment=environment, kept=kept)
        except ValidationError as fault:
            raise Permanent(Reason.SETTING_INVALID, _sentence(fault, environment, file)) from None
        self._environment = dict(environment)
        self._kept = kept
        self._keeper = f"profile {profile.name}" if profile else "sandbox"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment that was given, then the profile or the sandbox's file; nothing that lies about."""
        given = init_settings()
        return init_settings, _Given(settings_cls, given["environment"]), _Given(settings_cls, given["kept"])

    @property
    def environment(self) -> Mapping[str, str]:
        """Every NIGHTFERRY_… variable that was set when `load()` ran."""
        return self._environment

    @property
    def expandable(self) -> dict[str, str]:
        """Every NIGHTFERRY_… value that is known: what a service file may name as `${NIGHTFERRY_…}`."""
        return {**self._kept, **{name: value for name, value in self._environment.items() if value}}

    def get(self, name: str) -> str | None:
        """The setting NIGHTFERRY_<name> as it was written, else as profile or sandbox have it; its default does not
        count."""
        key = _known(name)
        return self._environment.get(key) or self._kept.get(key) or None

    def origin(self, name: str) -> str:
        """Where the setting NIGHTFERRY_<name> comes from: `environment`, `profile NAME`, `sandbox`, or `default`."""
        key = _known(name)
        if self._environment.get(key):
            return "environment"
        return self._keeper if self._kept.get(key) else "default"

    @property
    def keeper(self) -> str:
        """What counts beside the environment: `profile NAME` or `sandbox`."""
        return self._keeper

    def own(self, name: str) -> str | None:
        """The setting only where the user gave it: then the sandbox must not start that part itself."""
        return self._environment.get(_known(name)) or None

    def require(self, name: str) -> str:
        """The setting as it was written.

        Raises:
            Permanent: (setting_missing) it is given nowhere.
        """
        value = self.get(name)
        if not value:
            raise Permanent(
                Reason.SETTING_MISSING,
                f"The setting {PREFIX}{name} is missing: {how_to_set()}.",
            )
        return value

    @property
    def work(self) -> Path:
        """Where releases keep fetched models, git mirrors and build contexts."""
        return self.home / "work"

    @property
    def people_file(self) -> Path:
        """Who is who: people.yaml of the state folder where there is one, else dags/people.yaml of the project."""
        of_state = self.home / "people.yaml"
        return of_state if of_state.exists() else self.root / "dags" / "people.yaml"

    @property
    def services_folders(self) -> tuple[Path, ...]:
        """Where the service files are: NIGHTFERRY_SERVICES (several with `:` between), else dags/services of the
        project and services of the state folder; those that are missing hold none.

        Raises:
            Permanent: (setting_missing) a wheel knows neither a project nor such a folder.
        """
        if self.services:
            return self.services
        of_state = self.home / "services"
        if not installed() or self._environment.get("NIGHTFERRY_ROOT"):
            return self.root / "dags" / "services", of_state
        if of_state.is_dir():
            return (of_state,)
        raise Permanent(
            Reason.SETTING_MISSING,
            "No service files are known here: set NIGHTFERRY_SERVICES to their folder (`nightferry login --services` "
            "keeps it), or NIGHTFERRY_ROOT to the folder of the project that has them in dags/services.",
        )


class _Given(PydanticBaseSettingsSource):
    """The settings in a mapping of NIGHTFERRY_… names to text."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The text, if any, under the field's own name."""
        return self._values.get(variable(field_name)) or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields.items()
        found = [self.get_field_value(field, name) for name, field in fields]
        return {name: value for value, name, _ in found if value}


def load() -> Settings:
    """The settings as they are now. Raises Permanent (setting_invalid)."""
    given = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    root, home = project_root(), state_folder()
    chosen = given.get(f"{PREFIX}PROFILE") or (profiles.current() if current_profile_counts() else None)
    return Settings(root, home, given, profiles.read(chosen) if chosen else None)


def current_profile_counts() -> bool:
    """Whether the current profile counts unasked: a sandbox's commands never leave it because somebody logged in."""
    return installed() and not (state_folder() / SANDBOX_FILE).exists()


def _known(name: str) -> str:
    if name.lower() not in Settings.model_fields:
        raise KeyError(f"{PREFIX}{name} is no setting")
    return PREFIX + name


def _written(file: Path) -> dict[str, str]:
    """What the sandbox wrote; a broken file says nothing."""
    try:
        written = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    settings = written.get("settings", {}) if isinstance(written, dict) else {}
    if not isinstance(settings, dict):
        return {}
    return {name: value for name, value in settings.items() if isinstance(value, str)}


def _sentence(fault: ValidationError, environment: Mapping[str, str], file: Path) -> str:
    """The first setting that is wrong, where it stands, and what it has to be."""
    first = fault.errors(include_url=False)[0]
    field = str(first["loc"][0])
    where = "" if environment.get(variable(field)) else f" in {file}"
    wanted = first["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
    for subject in ("Input should", "String should"):
        wanted = wanted.replace(subject, "it should")
    default = Settings.model_fields[field].default
    rest = f" Without it, {default:g} is taken." if isinstance(default, int | float) else ""
    return f"{variable(field)} is {first['input']!r}{where}: {wanted}.{rest} Set it right, or leave it out."
