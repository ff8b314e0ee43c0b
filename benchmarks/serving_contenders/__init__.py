"""What benchmarks/serving.py compares the service with. Each answers `POST /v2/models/{name}/infer` with the same JSON,
from the same ONNX file (MODEL), one thread in each inference, two processes."""
