"""NVIDIA's tritonclient[http], unchanged, against the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from tests.serving_app.models import picture
from tests.serving_app.running import Service

A = np.array([[1.5, 2.5], [3, 4]], np.float32)
B = np.array([[10, -20], [30, 40]], np.int64)


@pytest.fixture
def client(total: Service) -> Iterator[Any]:
    with triton.InferenceServerClient(f"127.0.0.1:{total.port}") as client:
        yield client


def inputs(binary: bool) -> list[Any]:
    made = [triton.InferInput("a", A.shape, "FP32"), triton.InferInput("b", B.shape, "INT64")]
    for one, array in zip(made, (A, B), strict=True):
        one.set_data_from_numpy(array, binary_data=binary)
    return made


def test_health_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("sum")
    assert client.is_model_ready("sum", "v1")
    assert not client.is_model_ready("another")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("sum")
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["a", "b"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("outputs", ["not asked for", "binary", "JSON"])
def test_tensors_in_binary_and_json(client: Any, binary_in: bool, outputs: str) -> None:
    asked = {"binary": [triton.InferRequestedOutput("sum", binary_data=True)]}
    asked["JSON"] = [triton.InferRequestedOutput("sum", binary_data=False)]
    result = client.infer("sum", inputs(binary_in), outputs=asked.get(outputs), request_id="r-1")
    assert np.array_equal(result.as_numpy("sum"), A + B)
    assert result.get_response()["id"] == "r-1"


def test_asynchronously(client: Any) -> None:
    pending = [client.async_infer("sum", inputs(True)) for _ in range(4)]
    assert all(np.array_equal(one.get_result().as_numpy("sum"), A + B) for one in pending)


@pytest.mark.parametrize("binary", [True, False])
def test_pictures_as_bytes(shades: Service, binary: bool) -> None:
    import base64

    files = [picture(0, size=5), picture(255)]
    elements = files if binary else [base64.b64encode(file).decode() for file in files]
    tensor = triton.InferInput("image", [2], "BYTES")
    tensor.set_data_from_numpy(np.array(elements, dtype=object), binary_data=binary)
    with triton.InferenceServerClient(f"127.0.0.1:{shades.port}") as client:
        scores = client.infer("shades", [tensor]).as_numpy("scores")
    assert scores.argmax(axis=1).tolist() == [0, 2]


def test_an_error_reaches_the_caller_in_words(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException, match="b is missing"):
        client.infer("sum", inputs(True)[:1])
    with pytest.raises(triton.InferenceServerException, match="no model 'another' here"):
        client.infer("another", inputs(True))
