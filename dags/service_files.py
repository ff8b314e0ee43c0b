"""Shows bad service files in Airflow's user interface, as the one import error of this file (it holds no DAG).

A bad file takes down nothing but its own service: release.py makes the DAGs of all the others.
"""

from __future__ import annotations

from nightferry import settings
from nightferry.steps.services.load_services import load_services


class ServiceFilesInvalid(Exception):
    """Every service file that cannot be used, and why."""


_settings = settings.load()
_problems = load_services(_settings.services_folders, _settings.expandable).problems
if _problems:
    raise ServiceFilesInvalid(
        f"{len(_problems)} service file(s) cannot be used:\n"
        + "\n".join(f"- {problem.path.name} ({problem.reason}): {problem.sentence}" for problem in _problems)
    )
