"""Ctrl-C, SIGTERM and SIGHUP as requests to stop when the running update has ended."""

import logging
import os
import signal
import socket
import sys
import threading
import time

_HANGUP = getattr(signal, "SIGHUP", None)  # not on Windows
_SIGNALS = tuple(filter(None, (signal.SIGINT, signal.SIGTERM, _HANGUP)))
_ECHO = 1.0  # seconds in which SIGTERM counts once: `timeout` sends it twice at the same time

_logger = logging.getLogger(__name__)


class Interruption:
    """Notes Ctrl-C, SIGTERM and SIGHUP while its block runs, so that nothing is cut in two.

    A line in the log answers at once, even while TensorFlow is busy. The second Ctrl-C or SIGTERM
    raises KeyboardInterrupt wherever the program is. SIGHUP is not counted: a terminal that goes
    away, as when a connection breaks, may send several; what would be written to it is dropped from
    then on. Outside of the main thread, where Python knows no signals, it does nothing; nor does it
    with a signal that is ignored, as under ``nohup``.

    Example:
        >>> with Interruption() as interruption:
        ...     interruption.requested
        False
    """

    def __init__(self):
        self.requested, self._asked = False, None
        self._before = {}
        self._terminals = []

    def __enter__(self):
        """Begins to note."""
        if threading.current_thread() is not threading.main_thread():
            return self
        wanted = [n for n in _SIGNALS if signal.getsignal(n) not in (signal.SIG_IGN, None)]
        self._before = {number: signal.signal(number, self._note) for number in wanted}
        if not wanted:
            return self
        self._terminals = [number for number in (1, 2) if os.isatty(number)]
        # Python runs `_note` in between its own instructions, after an update that may take a
        # minute. The byte that it writes here comes at once, and another thread is free to read it.
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._other = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        """Leaves signals to those who had them before."""
        self.requested, self._asked = False, None
        if not self._before:
            return
        signal.set_wakeup_fd(self._other)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        self._sender.close()
        self._thread.join()
        self._receiver.close()

    def _note(self, number, frame):
        if number == _HANGUP:
            self._leave_terminal()
        elif self._asked is None:
            self._asked = time.monotonic()
        elif number == signal.SIGINT or time.monotonic() > self._asked + _ECHO:
            raise KeyboardInterrupt
        self.requested = True

    def _leave_terminal(self):
        """Keeps the next line of progress from failing, before anything is saved."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in self._terminals:
            os.dup2(nowhere, number)
        os.close(nowhere)

    def _answer(self):
        answered = False
        while received := self._receiver.recv(1):
            if received[0] in _SIGNALS and not answered:
                answered = True
                if received[0] == _HANGUP:
                    self._leave_terminal()
                if sys.stderr.isatty():
                    print(file=sys.stderr)  # behind ^C, which the terminal shows
                name = signal.Signals(received[0]).name.replace("SIGINT", "Ctrl-C")
                _logger.warning(
                    "%s: stopping when the running update has ended, and saving. Once more stops "
                    "at once, without saving.",
                    name,
                )
