"""The tasks of the deployer, and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nightferry.deployer.asking import answer_task, probe_task
from nightferry.deployer.housekeeping import look_task, rehearse_task, retire_task
from nightferry.deployer.previewing import end_previews_task, preview_task
from nightferry.deployer.releasing import finish_task, roll_back_task, roll_out_task, verify_task


def parser() -> argparse.ArgumentParser:
    """What reads the command line; `task` of what it reads is the function that does it, and returns the exit code."""
    made = argparse.ArgumentParser(prog="nightferry.deployer", description="Rolls out and verifies one release.")
    commands = made.add_subparsers(required=True)
    for name, task, text in (
        ("roll_out", roll_out_task, "bring a release into use, look at what users get, and go back if it is not right"),
        ("verify", verify_task, "look again at what users get, and go back if it is not right"),
        ("finish", finish_task, "finish what was ordered for an environment and is not done"),
    ):
        command = _command(commands, name, task, text, "release", "environment")
        _reach(command)
        if task is finish_task:
            command.add_argument("--at-once", action="store_true", help="also where whoever switched may still look")
    text = "send an environment's users to an earlier release"
    command = _command(commands, "roll_back", roll_back_task, text, "service", "environment", "reason", "actor")
    command.add_argument("--to", help="the release that users get; left out: the one before")
    text = "put back what was changed by hand, as the record says"
    command = _command(commands, "look", look_task, text)
    command.add_argument("--service", required=True, action="append")
    command.add_argument("--environment", required=True, action="append", help="that of the service; once for each")
    text = "finish what was left, scale releases past their warm time to zero"
    command = _command(commands, "retire", retire_task, text, "namespace")
    command.add_argument("--service", default=[], action="append", help="one more than those that have releases there")
    _reach(command)
    text = "try whether the last good releases would start and answer, where nobody uses them"
    _command(commands, "rehearse", rehearse_task, text, "service", "night", "actor")
    text = "bring a preview up at an address of its own, and compare it with the release in use"
    _reach(_command(commands, "preview", preview_task, text, "preview"))
    command = _command(
        commands, "end_previews", end_previews_task, "remove the previews that are over, or the one named"
    )
    command.add_argument("--preview", help="end this one now")
    command.add_argument("--actor", default="", help="who ends it")
    command.add_argument("--reason", default="", help="why")
    command = _command(commands, "probe", probe_task, "ask a running service everything once")
    command.add_argument("--model", required=True, type=Path, help="folder with model.json and golden examples")
    command.add_argument("--address", default="http://127.0.0.1:8080")
    command.add_argument("--ready-seconds", type=float, default=60.0)
    command.add_argument("--app", default="", help="the contract of an app that is not the stock service, as JSON")
    command.add_argument("--passport", default="{}", help="NIGHTFERRY_… variables of the container, as JSON")
    command = _command(commands, "answer", answer_task, "have a running service answer another model's golden examples")
    command.add_argument("--model", required=True, type=Path, help="folder with its own model.json")
    command.add_argument("--asked", required=True, type=Path, help="folder with model.json and golden examples")
    command.add_argument("--checks", default="[]", help="of an app, which are asked too, as JSON")
    command.add_argument("--address", default="http://127.0.0.1:8080")
    command.add_argument("--ready-seconds", type=float, default=60.0)
    command.add_argument("--app", default="", help="the contract of an app that is not the stock service, as JSON")
    return made


def _command(
    commands: Any, name: str, task: Callable[[argparse.Namespace], int], help: str, *needed: str
) -> argparse.ArgumentParser:
    """A task, and the options that it cannot be without."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=help)
    command.set_defaults(task=task)
    for word in needed:
        command.add_argument(f"--{word}", required=True)
    return command


def _reach(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--reach",
        choices=("dns", "cluster-ip"),
        default="dns",
        help="how Services are called: by name (in the cluster) or by address (on one of its nodes)",
    )
