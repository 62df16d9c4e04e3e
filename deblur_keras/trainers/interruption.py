"""Ctrl-C and SIGTERM as a request to stop at the end of the running update, answered at once."""

import logging
import signal
import socket
import sys
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_logger = logging.getLogger(__name__)


class Interruption:
    """Notes Ctrl-C and SIGTERM while its block runs, so that nothing is cut in two.

    A line in the log answers at once, even while TensorFlow is busy. The second signal raises
    KeyboardInterrupt wherever the program is. Outside of the main thread, where Python knows no
    signals, it does nothing; nor does it with a signal that is ignored, as under ``nohup``.

    Example:
        >>> with Interruption() as interruption:
        ...     interruption.requested
        False
    """

    def __init__(self):
        self.requested = False
        self._before = {}

    def __enter__(self):
        """Begins to note."""
        if threading.current_thread() is not threading.main_thread():
            return self
        wanted = [n for n in _SIGNALS if signal.getsignal(n) not in (signal.SIG_IGN, None)]
        self._before = {number: signal.signal(number, self._note) for number in wanted}
        if not wanted:
            return self
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
        self.requested = False
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
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def _answer(self):
        answered = False
        while received := self._receiver.recv(1):
            if received[0] in _SIGNALS and not answered:
                answered = True
                if sys.stderr.isatty():
                    print(file=sys.stderr)  # behind ^C, which the terminal shows
                name = "Ctrl-C" if received[0] == signal.SIGINT else "SIGTERM"
                _logger.warning(
                    "%s: stopping when the running update has ended, and saving. Once more stops "
                    "at once, without saving.",
                    name,
                )
