"""Python ends though a stream, somewhere, is still making crops."""

import subprocess
import sys

import numpy as np
import pytest

from deblur_keras import images
from deblur_keras.datasets import leaving

SCRIPT = """
import time
import numpy as np
from deblur_keras import datasets, images

def slow(path, read=images.read):
    time.sleep(0.05)  # so that crops are being made whenever it is
    return read(path)

images.read = slow
stream = iter(datasets.synthetic({folder!r}, crop=16, kernel_size=8, max_length=4.0, repeat=True))
next(stream)
{end}
"""


@pytest.mark.parametrize("end", ["", pytest.param("raise SystemExit(0)", marks=pytest.mark.slow)])
def test_a_stream_that_is_still_running_does_not_keep_python(tmp_path, end):
    """It waited for ever, until the workers' calls were answered before the end."""
    for number in range(4):
        images.write(tmp_path / f"{number}.png", np.full((32, 32, 3), number, np.uint8))
    script = SCRIPT.format(folder=str(tmp_path), end=end)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_calls_are_refused_when_python_ends(monkeypatch):
    with leaving.call():
        assert leaving._state["running"] >= 1
    monkeypatch.setitem(leaving._state, "ending", True)
    with pytest.raises(leaving.Ending), leaving.call():
        raise AssertionError("not reached")
    monkeypatch.setitem(leaving._state, "ending", False)
    leaving._end()  # returns once it is quiet
    assert leaving._state["ending"]
