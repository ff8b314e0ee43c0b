"""Which commands there are, and what `nightferry --help` says of each.

It stands apart from what carries them out: a module is loaded when one of its commands is chosen, so that help, and a
mistake in the first word, cost no more than this.
"""

from __future__ import annotations

MODULES = {
    "nightferry.cli.releasing.release": {
        "release": "release a service now: its newest model and code",
    },
    "nightferry.cli.control.approve": {
        "approve": "say yes to a release that waits for people",
        "decline": "say no to a release that waits for people; that is final",
        "approvals": "list the releases that wait for people",
    },
    "nightferry.cli.previews.preview": {
        "preview": "run a model at an address of its own for some hours, compared with the release in use",
    },
    "nightferry.cli.control.rollback": {
        "rollback": "send users to an earlier release again; needs no Airflow",
    },
    "nightferry.cli.control.hold": {
        "hold": "release nothing new of a service, or of all, until a time or until resume",
        "resume": "end a hold",
    },
    "nightferry.cli.calendars.command": {
        "calendar": "show what the coming nights bring, and except a service from its calendar",
    },
    "nightferry.cli.control.quarantine": {
        "quarantine": "bar a model or code from release, and see what is barred",
    },
    "nightferry.cli.images.images": {
        "images": "list, check and prune the images of services",
    },
    "nightferry.cli.control.drift": {
        "drift": "look whether what runs is what the record says",
    },
    "nightferry.cli.trial.rehearse": {
        "rehearse": "try whether the last good releases would start and answer",
    },
    "nightferry.cli.trial.drill": {
        "drill": "break things on purpose on a copy of a service, and see that nobody notices",
    },
    "nightferry.cli.record": {
        "history": "list decisions and what came of them",
        "show": "show one release: steps, times, image, model, source",
        "url": "print the address of a service and nothing else",
    },
    "nightferry.cli.ledger": {
        "ledger": "look after the record",
    },
    "nightferry.cli.init": {
        "init": "begin a service: its file, and with an app its repository",
    },
    "nightferry.cli.profile.login": {
        "login": "keep the addresses of an installation, and show which ones count",
    },
    "nightferry.cli.apps.app": {
        "app": "look after an app: its contract, its lock, and how it runs on this machine",
    },
    "nightferry.cli.models": {
        "models": "publish and list model versions",
    },
    "nightferry.cli.services": {
        "services": "add and check service files, and look at what has none any more",
    },
    "nightferry.cli.sandbox": {
        "up": "start the sandbox: every part of a release, on this machine",
        "down": "stop the sandbox; its data stays",
        "status": "show the health of every part of the sandbox",
        "logs": "show the log of a part of the sandbox",
        "clean": "stop the sandbox and remove its data, without asking",
    },
    "nightferry.cli.sample": {
        "sample": "release the sample service, digits, and ask it what a picture shows",
    },
}
"""The modules in the order of the help, each with its commands."""

HELP = {name: help for commands in MODULES.values() for name, help in commands.items()}
"""What is said of a command, by its name."""
