"""An estimator of a notebook as a file that its app opens."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

NAME = "model.joblib"


def keep_estimator(model: Any, folder: Path) -> Path:
    """Write it with joblib, or, where that is not installed, with pickle, which joblib reads too; the file.

    Raises:
        Permanent: (model_incomplete) it cannot be written so.
    """
    path = folder / NAME
    try:
        try:
            import joblib
        except ImportError:
            path.write_bytes(pickle.dumps(model))
        else:
            joblib.dump(model, path)
    except Exception as fault:  # an object's own code decides how it is pickled
        why = " ".join(str(fault).split())[:300].rstrip(".") or type(fault).__name__
        raise Permanent(
            Reason.MODEL_INCOMPLETE,
            f"{type(model).__name__} cannot be written to a file: {why}; write it yourself, and give the file's path.",
        ) from fault
    return path
