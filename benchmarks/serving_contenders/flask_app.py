"""The tutorial's way: a plain Flask app, its JSON, for gunicorn's sync worker behind nginx."""

from __future__ import annotations

from flask import Flask, jsonify, request

from benchmarks.serving_contenders.model import NAME, Model

app = Flask(__name__)
model = Model()


@app.post(f"/v2/models/{NAME}/infer")
def infer():  # noqa: ANN201
    """Answer."""
    answer = model.answer(request.get_json())
    answer["outputs"][0]["data"] = answer["outputs"][0]["data"].tolist()
    return jsonify(answer)
