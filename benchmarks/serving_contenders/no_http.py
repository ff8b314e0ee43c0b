"""The limit: the same work in two processes (or one, for a lone client), with no HTTP. Prints the rate and the mean."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

from benchmarks.serving_contenders.model import Model


def work(
    threads: int, body: bytes, seconds: float, ready: multiprocessing.Barrier, counts: multiprocessing.Queue
) -> None:
    """Answer the body again and again."""
    model = Model(threads)
    model.infer(body)
    ready.wait()
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        model.infer(body)
        count += 1
    counts.put(count)


def main() -> None:
    """Arguments: the body's file, seconds, processes, threads in an inference."""
    body, seconds = Path(sys.argv[1]).read_bytes(), float(sys.argv[2])
    processes, threads = int(sys.argv[3]), int(sys.argv[4])
    ready, counts = multiprocessing.Barrier(processes), multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=work, args=(threads, body, seconds, ready, counts)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    rate = sum(counts.get() for _ in workers) / seconds
    for worker in workers:
        worker.join()
    print(json.dumps({"rate": rate, "mean_ms": processes / rate * 1000, "cpus": os.cpu_count()}))


if __name__ == "__main__":
    main()
