"""Signals while something runs that must not be cut in two, with a terminal that goes away."""

import os
import signal
import time

import pytest
from terminals import run_on_terminal

from deblur_keras.trainers import interruption as interruption_module
from deblur_keras.trainers.interruption import Interruption

ON_A_TERMINAL = """
import sys, time
from pathlib import Path
from deblur_keras.trainers.interruption import Interruption

ended = Path(sys.argv[1])
with Interruption() as interruption:
    print("ready", flush=True)
    while not interruption.requested:
        time.sleep(0.01)
    print("a line for a terminal that is not there", flush=True)
    print("and another", file=sys.stderr, flush=True)
    ended.write_text("saved")
sys.exit(130)
"""


def test_a_terminal_that_goes_away_stops_in_order(tmp_path):
    ended = tmp_path / "ended"
    process, terminal = run_on_terminal(ON_A_TERMINAL, ended)
    try:
        said = b""
        while b"ready" not in said:
            said += os.read(terminal, 1024)
        os.close(terminal)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert ended.read_text() == "saved"


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_asked_twice_it_stops_at_once(name, monkeypatch):
    monkeypatch.setattr(interruption_module, "_ECHO", 0.0)
    with Interruption() as interruption:
        signal.raise_signal(name)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(name)
    assert not interruption.requested


def test_a_signal_that_comes_twice_at_the_same_time_counts_once():
    with Interruption() as interruption:
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        assert interruption.requested


def test_hangups_are_no_second_request(monkeypatch, caplog):
    monkeypatch.setattr(os, "isatty", lambda number: False)  # else our own terminal is left
    monkeypatch.setattr(interruption_module, "_ECHO", 0.0)
    with Interruption() as interruption:
        for name in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(name)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        for _ in range(1000):  # another thread says so
            if caplog.messages:
                break
            time.sleep(0.01)
    assert caplog.messages[0].startswith("SIGHUP: stopping when the running update has ended")


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert not interruption.requested
    finally:
        signal.signal(signal.SIGHUP, before)
