"""What a faulty container runs instead of its image's own command: Python on the command line, since the images of
releases hold no shell."""

from __future__ import annotations

from collections.abc import Collection

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
METRICS_GONE = """\
from serving_app.errors import RequestError
from serving_app.runtime import metrics
import os
right = metrics.Metrics.text
log = os.open('/dev/shm/reads', os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
def text(self):
    os.write(log, b'.')
    if os.fstat(log).st_size > {reads}:
        raise RequestError(404, 'path', 'drill: the metrics are gone')
    return right(self)
metrics.Metrics.text = text
"""
"""The page of metrics is read so often in each pod, and is gone after that."""
FLIPPED = "{name: value[..., ::-1].copy() if value.ndim else value for name, value in answers.items()}"
"""The scores of each row stand in the opposite order."""
WRONG = PATCHED.format(then=f"return {FLIPPED}")
WRONG_ONCE_USED = """\
from serving_app.http import dispatch
used = []
take = dispatch.Dispatcher.request
def request(self, connection, head, body):
    if head.fields.get(b'host', b'').decode() in {hosts}:
        used.append(1)
    return take(self, connection, head, body)
dispatch.Dispatcher.request = request
"""
"""Notes whether it was asked at one of these hosts, which are the users'."""
SLOW = PATCHED.format(then="time.sleep({seconds})\n    return answers")


def wrong_once_used(hosts: Collection[str]) -> str:
    """What answers rightly until it is asked at one of these hosts (`Host` of a request), and wrongly from then on."""
    then = f"return {FLIPPED} if used else answers"
    return WRONG_ONCE_USED.format(hosts=sorted(hosts)) + PATCHED.format(then=then) + SERVE


def python(script: str) -> dict[str, object]:
    """A container's command that runs the script."""
    return {"command": ["python3", "-c", script]}
