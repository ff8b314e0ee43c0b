"""One caller attacks while others ask: for seconds, over the network, nobody's answer is touched by another's data."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from tests.serving_app.models import write
from tests.serving_app.running import ROOT, Service

pytestmark = pytest.mark.process
SECONDS = 10.0
UNCHECKED = """
from serving_app.inputs.infer import InferProtocol
from serving_app.model import batching
InferProtocol._check_rows = lambda self, arrays: None
batching._rows = lambda arrays, first: len(next(iter(arrays.values())))
"""
"""The control: whoever joins requests believes that the inputs of each have as many rows."""
BELIEVED = """
from serving_app.model import batching
batching.worthwhile = lambda *args, **more: True
"""
"""The control: requests are joined as soon as that is declared, whatever a trial of a few rows says."""


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A model of two inputs, whose rows are declared independent."""
    shape = [None, 2]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("a", "b")]
    output = helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["sum"])], "pair", inputs, [output])
    declared = [{"name": name, "datatype": "FP32", "shape": [-1, 2]} for name in ("a", "b", "sum")]
    manifest = {"service": "pair", "version": "v1", "inputs": declared[:2], "outputs": declared[2:]}
    return write(tmp_path / "m", graph, {**manifest, "labels": None, "image": None, "rows": "independent"})


@pytest.fixture
def coarse(tmp_path: Path) -> Callable[..., Path]:
    """A model that rounds every number to what the largest of the batch allows, as quantize_dynamic makes them."""

    def made(**more: Any) -> Path:
        a, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("a", "out"))
        nodes = [
            helper.make_node("DynamicQuantizeLinear", ["a"], ["q", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["out"]),
        ]
        graph = helper.make_graph(nodes, "coarse", [a], [out])
        declared = [{"name": name, "datatype": "FP32", "shape": [-1, 2]} for name in ("a", "out")]
        manifest = {"service": "coarse", "version": "v1", "inputs": declared[:1], "outputs": declared[1:]}
        return write(tmp_path / "m", graph, {**manifest, "labels": None, "image": None, **more})

    return made


@contextlib.contextmanager
def running(model: Path, **environ: str) -> Iterator[Service]:
    service = Service(model, {"SERVING_WORKERS": "1", "SERVING_MAX_CONNECTION_AGE_MS": "0", **environ})
    try:
        yield service.wait_ready()
    finally:
        service.kill()


def body(**rows: list[int]) -> bytes:
    """A request whose inputs have a row of twice each number."""
    inputs = [
        {"name": name, "datatype": "FP32", "shape": [len(each), 2], "data": [row for row in each for _ in "12"]}
        for name, each in rows.items()
    ]
    return json.dumps({"inputs": inputs}).encode()


def under_attack(service: Service, model: str, good: bytes, attack: list[bytes], seconds: float) -> tuple[int, int]:
    """How many answers the good caller got, and how many differ from its first one, that of a lone caller. Ends early
    once one does."""
    found, end = [0, 0], time.monotonic() + seconds

    def answered(connection: http.client.HTTPConnection, content: bytes) -> Any:
        path = f"/v2/models/{model}/infer"
        connection.request("POST", path, content, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())

    with contextlib.closing(service.connect()) as connection:
        alone = answered(connection, good)
    assert "outputs" in alone

    def ask(bodies: list[bytes], look: bool) -> None:
        with contextlib.closing(service.connect()) as connection:
            while time.monotonic() < end and not found[1]:
                for content in bodies:
                    answer = answered(connection, content)
                    if look:
                        found[0] += 1
                        found[1] += answer != alone

    callers = [([good], True), *[(attack[::step], False) for step in (1, -1, 1, -1)]]
    threads = [threading.Thread(target=ask, args=caller) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found[0], found[1]


ROWS = ("pair", body(a=[7], b=[1]), [body(a=[1000], b=[2000, 2000]), body(a=[3000, 3000], b=[4000])])
OUTLIER = ("coarse", body(a=[1]), [body(a=[100_000])])


def test_inputs_of_different_rows_change_nobodys_answer(pair: Path) -> None:
    with running(pair) as service:
        answers, wrong = under_attack(service, *ROWS, SECONDS)
    assert answers > 100
    assert wrong == 0


def test_that_attack_works_where_nothing_is_checked(pair: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(UNCHECKED)
    with running(pair, PYTHONPATH=os.pathsep.join((str(tmp_path), str(ROOT)))) as service:
        assert under_attack(service, *ROWS, 6 * SECONDS)[1]


def test_an_outlier_changes_nobodys_answer(coarse: Callable[..., Path]) -> None:
    with running(coarse()) as service:
        answers, wrong = under_attack(service, *OUTLIER, SECONDS)
    assert answers > 100
    assert wrong == 0


def test_that_attack_works_where_such_rows_are_called_independent(coarse: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BELIEVED)
    model = coarse(rows="independent")
    with running(model, PYTHONPATH=os.pathsep.join((str(tmp_path), str(ROOT)))) as service:
        assert under_attack(service, *OUTLIER, 6 * SECONDS)[1]
