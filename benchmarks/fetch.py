"""Fetch a large model: Nightferry against raw downloads from the same storage account, in one run.

    python benchmarks/fetch.py [--size 1GB] [--rounds 5]

A model of random bytes is published into a container of its own, and removed afterwards. Then each way fetches it in a
process of its own, in turns: `fetch_model` (one stream, conditional on its ETag, hashed, verified, renamed),
the SDK's plain `readinto`, and one bare HTTP GET without any check. Throughput is the median over the rounds; memory
is the peak over what the process had before it began. The storage is the sandbox's, or what the settings name.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nightferry import settings
from nightferry.clients import connect
from nightferry.clients.azure.errors import azure_errors
from nightferry.clients.azure.models import AzureModels
from nightferry.entities.model_version import parse_manifest
from nightferry.errors import NightferryError
from nightferry.steps.model.fetch_model import fetch_model

AIM_THROUGHPUT = 0.9
AIM_MEMORY = 100e6
TRIES = 3
WAYS = {"nightferry": "fetch_model", "readinto": "SDK readinto", "get": "bare HTTP GET"}
VERSION, MODEL, PIECE = "large", "model.onnx", 1 << 20


def main() -> int:
    """Measure and print; 0 when both aims are met."""
    given = _arguments()
    if given.way:
        print(json.dumps(_measure(given.way, given.container, given.into)))
        return 0
    with tempfile.TemporaryDirectory(prefix="nightferry-fetch-") as scratch:
        try:
            return _compare(given, Path(scratch))
        except NightferryError as error:
            print(error.sentence, file=sys.stderr)
            return 1


def _compare(given: argparse.Namespace, scratch: Path) -> int:
    service = connect.storage(settings.load())
    container = f"bench-{uuid.uuid4().hex[:12]}"
    ways = list(WAYS) if hasattr(service.credential, "account_key") else ["nightferry", "readinto"]
    with azure_errors(service.primary_hostname, container):
        service.create_container(container)
    try:
        _publish(AzureModels(service, container, "bench"), scratch / "published", given.size)
        results: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for turn in range(given.rounds):
            # Every way begins a round once, so that none gains from the order.
            for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
                results[way].append(_run(way, container, scratch / "fetched"))
    finally:
        with azure_errors(service.primary_hostname, container):
            service.delete_container(container)
    return _report(results, given.size)


def _publish(models: AzureModels, folder: Path, size: int) -> None:
    folder.mkdir()
    digest, left = hashlib.sha256(), size
    with (folder / MODEL).open("wb") as stream:
        while left:
            piece = os.urandom(min(PIECE, left))
            digest.update(piece)
            stream.write(piece)
            left -= len(piece)
    tensor = {"name": "x", "datatype": "FP32", "shape": [-1, 1]}
    content = {
        "format": "onnx",
        "service": "bench",
        "version": VERSION,
        "created": "2026-01-01T00:00:00Z",
        "author": "benchmark",
        "files": [{"name": MODEL, "size": size, "sha256": digest.hexdigest()}],
        "model": MODEL,
        "inputs": [tensor],
        "outputs": [tensor],
    }
    text = json.dumps(content).encode()
    models.publish(folder, parse_manifest(text), text)
    shutil.rmtree(folder)


def _run(way: str, container: str, into: Path) -> dict[str, Any]:
    words = [sys.executable, __file__, "--way", way, "--container", container, "--into", str(into)]
    for _ in range(TRIES):
        into.mkdir()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        shutil.rmtree(into)
        if done.returncode == 0:
            result: dict[str, Any] = json.loads(done.stdout)
            return result
        # A raw download does not go on when its connection breaks; that try is left out of the figures.
        print(f"{WAYS[way]} broke off: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    raise SystemExit(f"{WAYS[way]} broke off {TRIES} times")


def _measure(way: str, container: str, into: Path) -> dict[str, Any]:
    service = connect.storage(settings.load())
    models = AzureModels(service, container, "bench")
    pinned, _ = models.pin(VERSION)
    blob = service.get_blob_client(container, f"bench/{VERSION}/{MODEL}")

    def nightferry() -> None:
        fetch_model(pinned, models, into)

    def readinto() -> None:
        with (into / MODEL).open("wb") as stream:
            blob.download_blob().readinto(stream)

    def get() -> None:
        import datetime as dt

        import requests
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        token = generate_blob_sas(
            service.credential.account_name,
            container,
            blob.blob_name,
            account_key=service.credential.account_key,
            permission=BlobSasPermissions(read=True),
            expiry=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
        )
        with requests.get(f"{blob.url}?{token}", stream=True, timeout=60) as answer, (into / MODEL).open("wb") as file:
            answer.raise_for_status()
            for piece in answer.iter_content(PIECE):
                file.write(piece)

    ways: dict[str, Callable[[], None]] = {"nightferry": nightferry, "readinto": readinto, "get": get}
    idle = _memory("VmRSS")
    # Forget the peak of the imports; what follows is the fetch alone.
    Path("/proc/self/clear_refs").write_text("5")
    began = time.perf_counter()
    ways[way]()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "memory": _memory("VmHWM") - idle}


def _memory(what: str) -> int:
    """Bytes that the kernel gives for this process: VmRSS now, VmHWM at most."""
    found = re.search(rf"^{what}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _report(results: dict[str, list[dict[str, Any]]], size: int) -> int:
    seconds = {way: statistics.median(one["seconds"] for one in runs) for way, runs in results.items()}
    memory = {way: max(one["memory"] for one in runs) for way, runs in results.items()}
    print(f"{size / 1e6:,.0f} MB, median of {len(results['nightferry'])} rounds\n")
    print(f"{'':16}{'seconds':>10}{'MB/s':>10}{'peak memory over idle':>26}{'fetch_model is':>18}")
    for way, name in WAYS.items():
        if way in results:
            ratio = seconds[way] / seconds["nightferry"]
            print(
                f"{name:16}{seconds[way]:10.2f}{size / 1e6 / seconds[way]:10.0f}{memory[way] / 1e6:23.0f} MB"
                + (f"{ratio:16.2f} x" if way != "nightferry" else "")
            )
    ratio = min(seconds[way] / seconds["nightferry"] for way in results if way != "nightferry")
    fast, small = ratio >= AIM_THROUGHPUT, memory["nightferry"] <= AIM_MEMORY
    print(f"\nthroughput against the fastest raw download: {ratio:.2f} (aim >= {AIM_THROUGHPUT}) {_word(fast)}")
    print(
        f"peak memory over idle: {memory['nightferry'] / 1e6:.0f} MB (aim <= {AIM_MEMORY / 1e6:.0f} MB) {_word(small)}"
    )
    return 0 if fast and small else 1


def _word(met: bool) -> str:
    return "met" if met else "MISSED"


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*(MB|GB)?", text.strip(), re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"a size like 300MB or 1GB is wanted, not {text!r}")
    return int(found[1]) * {"": 1, "MB": 10**6, "GB": 10**9}[(found[2] or "").upper()]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--size", type=_size, default=10**9, help="of the model: 300MB, 1GB (default)")
    parser.add_argument("--rounds", type=int, default=5)
    # What the benchmark tells its own processes.
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--container", help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
