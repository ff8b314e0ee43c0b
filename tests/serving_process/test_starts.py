"""A start that fails ends, with one sentence and an exit code, whichever process opens the model."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from serving_app.process.server import Server
from serving_app.process.shared import LARGE
from serving_app.runtime.lifecycle import Lifecycle
from serving_app.settings import Settings
from tests.serving_app.models import LABELS, picture, score_body, write, write_shades
from tests.serving_app.running import Service, wait_until

Serve = Callable[..., Service]
THREADS = {"SERVING_MODEL_THREADS": "2", "SERVING_WORKERS": "2"}


def afraid_of_white(folder: Path) -> Path:
    """A picture model that computes zeros, and not a white picture: its pixels choose from what is not there."""
    nodes = [
        helper.make_node("Cast", ["image"], ["i"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "i"], ["g"]),
        helper.make_node("MatMul", ["g", "pick"], ["scores"]),
    ]
    constants = {"table": np.zeros(1, np.float32), "pick": np.zeros((4, 3), np.float32)}
    graph = helper.make_graph(
        nodes,
        "afraid",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    manifest: dict[str, Any] = {
        "service": "afraid",
        "version": "v1",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
        "image": {"input": "image", "width": 2, "height": 2, "mode": "L", "layout": "flat"},
        "labels": LABELS,
    }
    return write(folder, graph, manifest)


def enlarge(folder: Path) -> Path:
    """Make it so large that each worker opens the model itself."""
    with (folder / "more.bin").open("wb") as file:
        file.truncate(LARGE + 1)
    return folder


def said(service: Service) -> list[str]:
    """The lines that an ended service printed, but for the one of its address."""
    return [line for line in service.output().splitlines() if " on http://" not in line]


@pytest.mark.parametrize("large", [False, True], ids=["opened once", "opened by each worker"])
def test_a_model_that_fails_on_a_picture_ends_the_start(tmp_path: Path, serve: Serve, large: bool) -> None:
    folder = afraid_of_white(tmp_path / "m")
    service = serve(enlarge(folder) if large else folder, **THREADS)
    assert service.wait(60) == 3
    (line,) = said(service)
    assert line.startswith("serving_app: the model fails on a white picture: ")


def test_a_worker_that_is_killed_while_it_opens_the_model_ends_the_start(tmp_path: Path, serve: Serve) -> None:
    """As the kernel does when memory runs out: no crash loop."""
    folder = enlarge(write_shades(tmp_path / "m"))
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\nmain = os.getpid()\n"
        "os.register_at_fork(after_in_child=lambda: os.getppid() == main and os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    service = serve(folder, **THREADS, PYTHONPATH=str(tmp_path))
    assert service.wait(60) == 3
    (line,) = said(service)
    assert "killed while it opened the model" in line


def test_a_worker_that_still_opens_its_model_does_not_hang(tmp_path: Path) -> None:
    config = Settings(model_dir=tmp_path, workers=1, hang_seconds=1)
    with subprocess.Popen(["sleep", "60"]) as opening, socket.socket() as listener:
        server = Server(config, listener, Lifecycle())
        server._pids[0], server._born[0] = opening.pid, time.monotonic() - 100
        row = server._metrics.rows[0]
        row.began(opening.pid, server._born[0])
        server._reap()
        with pytest.raises(subprocess.TimeoutExpired):
            opening.wait(0.2)
        row.beat(server._born[0] + 1)  # the control: its loop has turned, long ago
        server._reap()
        wait_until(lambda: opening.poll() is not None or not Path(f"/proc/{opening.pid}").exists())


def test_a_large_model_for_pictures_in_half_precision_starts_with_two_threads(serve: Serve, tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.full((3 * 224 * 224, 240), 1e-3, np.float16), "weights")
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"]),
        ],
        "half",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT16, [None, 3, 224, 224])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT16, [None, 240])],
        [weights],
    )
    manifest = {
        "service": "half",
        "version": "v1",
        "inputs": [{"name": "image", "datatype": "FP16", "shape": [-1, 3, 224, 224]}],
        "outputs": [{"name": "scores", "datatype": "FP16", "shape": [-1, 240]}],
        "labels": [str(i) for i in range(240)],
        "image": {"input": "image", "width": 224, "height": 224},
    }
    model = write(tmp_path / "half", graph, manifest)
    assert (model / "model.onnx").stat().st_size > 64 * 1024 * 1024
    service = serve(model, SERVING_MODEL_THREADS="2").wait_ready()
    assert service.post("/score", score_body(picture(100, 300)))[0] == 200
