"""Processes that the tests start: each as a person at a terminal would start it.

A program that is started in the background, as `pytest &` in a script, ignores SIGINT,
and so do all that it starts, for ever: Python does not restore it as it does others.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE = 300.0  # seconds; what takes so long hangs, however busy the machine is
SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def pass_over(number: int, frame: FrameType | None) -> None:
    """Ignore a signal, with a handler."""


def is_ignored(number: int) -> bool:
    """Whether a signal does nothing here."""
    return signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def default_signals() -> Iterator[None]:
    """Let what is started inside act on signals by default, whoever started the tests.

    A handler does not outlive the start of another program, but "ignored" does. This
    is for the main thread. A function run in the child before its program would do too,
    but Python warns of those where there are threads.
    """
    ignored = [number for number in SIGNALS if is_ignored(number)]
    for number in ignored:
        signal.signal(number, pass_over)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def start(command: Sequence[Any], **options: Any) -> subprocess.Popen[Any]:
    """Start a process, as `subprocess.Popen` does."""
    with default_signals():
        return subprocess.Popen(command, **options)


def run(
    command: str | Sequence[Any], **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Run a process to its end, as `subprocess.run` does; what it prints is text."""
    defaults = {"capture_output": True, "text": True, "timeout": PATIENCE}
    with default_signals():
        return subprocess.run(command, **(defaults | options))


def wait_for(condition: Callable[[], bool], what: str = "anything happens") -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.01)
