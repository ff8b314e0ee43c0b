"""`python -m serving_app`: serve one model directory, on a laptop as in the image."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("flask", "httptools", "numpy", "onnxruntime", "orjson", "PIL", "uvloop")


def main() -> int:
    """Serve; or say in a sentence what is not installed, and return 2."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        requirements = Path(__file__).with_name("requirements.txt")
        sys.stderr.write(
            f"serving_app: {sys.executable} lacks {', '.join(missing)}; install them: "
            f"{sys.executable} -m pip install -r {requirements}\n"
        )
        return 2
    from serving_app.command import main as serve

    return serve()


if __name__ == "__main__":
    sys.exit(main())
