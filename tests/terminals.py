"""Runs programs on a terminal that can be taken away from them."""

import os
import pty
import subprocess
import sys

_TAKE = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


def run_on_terminal(code, *arguments):
    """Starts Python code on a terminal of its own; closing it sends SIGHUP, as a real one does.

    Returns the process and the file descriptor of the terminal's other end.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE + code, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours
