"""What a faulty container runs instead of its image's own command: Python on the command line, since the images of
releases hold no shell."""

from __future__ import annotations

SERVE = """\
import runpy, sys
sys.argv = ['serving_app']
runpy.run_module('serving_app', run_name='__main__', alter_sys=True)
"""
CRASH = "raise SystemExit('drill: this release crashes')\n"
SLEEP = "import time\nprint('drill: this release is never ready', flush=True)\ntime.sleep(3600)\n"
EAT = "held = []\nwhile True:\n    held.append(bytearray(b'x' * 8_000_000))\n"
SLOW_START = "import time\ntime.sleep({seconds})\n" + SERVE
WRONG_FILE = """\
import json, os, pathlib, shutil
own = pathlib.Path('/dev/shm/model')
shutil.rmtree(own, ignore_errors=True)
shutil.copytree(os.environ.get('SERVING_MODEL_DIR', '/model'), own)
named = json.loads((own / 'model.json').read_text())['files']
largest = max((own / one['name'] for one in named), key=lambda file: file.stat().st_size)
largest.chmod(0o600)
content = bytearray(largest.read_bytes())
content[len(content) // 2] ^= 255
largest.write_bytes(content)
os.environ['SERVING_MODEL_DIR'] = str(own)
"""
"""The model's largest file has one wrong byte."""
PATCHED = """\
import time
from serving_app.model import predictor
right = predictor.Predictor.run
def run(self, inputs):
    answers = right(self, inputs)
    {then}
predictor.Predictor.run = run
"""
WRONG = PATCHED.format(
    then="return {name: value[..., ::-1].copy() if value.ndim else value for name, value in answers.items()}"
)
"""The scores of each row stand in the opposite order."""
SLOW = PATCHED.format(then="time.sleep({seconds})\n    return answers")


def python(script: str) -> dict[str, object]:
    """A container's command that runs the script."""
    return {"command": ["python3", "-c", script]}
