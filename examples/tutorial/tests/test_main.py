"""The service with its model; unittest, so that the image needs nothing more than the app does."""

import base64
import io
import json
import unittest

import main
from PIL import Image


def white(side: int = 40) -> str:
    """A white picture in base64."""
    buffer = io.BytesIO()
    Image.new("L", (side, side), 255).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


class TestMain(unittest.TestCase):
    def setUp(self) -> None:
        self.client = main.app.test_client()

    def test_it_is_healthy_and_says_its_version(self) -> None:
        assert self.client.get("/").text == "Healthy"
        assert set(self.client.get("/version").json) == {"release", "scikit-learn"}

    def test_each_picture_gets_three_labels_the_best_first(self) -> None:
        for pictures in ([white()], [white(), str(white().encode())]):
            result, said = self.client.post("/score", json={"input": json.dumps(pictures)}).json["result"]
            assert [len(best) for best in result] == [3] * len(pictures)
            assert "Computed in" in said
            for best in result:
                scores = [score for _, score in best]
                assert scores == sorted(scores, reverse=True)
                assert sum(scores) <= 100.001

    def test_white_paper_is_no_ink(self) -> None:
        assert main.pixels(white()).tolist() == [0.0] * 64

    def test_what_is_no_picture_is_refused(self) -> None:
        for body in (
            {},
            [],
            {"input": "[]]"},
            {"input": "[]"},
            {"input": 3},
            {"input": '["aGVsbG8="]'},
            {"input": "[3]"},
        ):
            assert self.client.post("/score", json=body).status_code == 400, body
        assert self.client.post("/score", data="{}").status_code == 415


if __name__ == "__main__":
    unittest.main()
