"""Where in Airflow people are asked: one DAG for each service, one run for each image and environment."""

from __future__ import annotations

from nightferry.entities.release_id import ReleaseId

PREFIX = "approve_"
"""How the DAG of a service is called: `approve_digits`."""
STAGES = 5
"""How many people a service file can ask for at most: that many questions has every such DAG, so that a release that
was decided before the file was changed is asked about as it was decided."""


def dag_of(service: str) -> str:
    """The DAG that asks about a service."""
    return PREFIX + service


def run_of(release: str, environment: str, image: str) -> str:
    """The run that asks about an image; another image has another one."""
    return f"{begin_of(release)}{environment}-{image.rpartition('sha256:')[2][:12]}"


def begin_of(release: str) -> str:
    """How the runs about a release begin."""
    return f"approve-{release}-"


def resumed_by(release: str, environment: str) -> str:
    """The run that goes on with an approved release."""
    return f"resume-{release}-{environment}-approved"


def service_of(release: str) -> str:
    """The service of a release. Raises ValueError: it is not a release's name."""
    return ReleaseId.parse(release).service
