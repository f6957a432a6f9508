"""A screen of its own for a test: Xvfb, a window manager, a mouse and a keyboard."""

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import processes
from files import SCRIPT

PROGRAMS = "Xvfb", "openbox", "xdotool", "xwininfo", "import"
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
SIZE = 1366, 768


class Desktop:
    """A running X server; every method acts as a person at it would."""

    def __init__(self, display: str) -> None:
        """Act on the display of this name."""
        self.environment = os.environ | {"DISPLAY": display}
        self.started: list[subprocess.Popen[str]] = []
        self.manager: subprocess.Popen[bytes] | None = None

    def do(self, *command: str) -> str:
        """Run an X program to its end."""
        return str(processes.run(command, env=self.environment).stdout)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start the script in a process of its own."""
        process = processes.start(
            [sys.executable, SCRIPT, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def clear(self) -> None:
        """End what a failed test left running."""
        for process in self.started:
            process.kill()
            process.communicate(timeout=processes.PATIENCE)
        self.started.clear()

    def has_manager(self) -> bool:
        """Whether a window manager has begun its work."""
        told = self.do("xprop", "-root", "_NET_SUPPORTING_WM_CHECK")
        return "window id" in told

    def windows(self) -> dict[str, tuple[int, int, int, int]]:
        """The windows on the screen: the title's first word to x, y, width, height."""
        title = r'"(Original|Modified|Diff|Thresh)\b[^"]*".*'
        line = title + r" (\d+)x(\d+)\S+ +\+(-?\d+)\+(-?\d+)"
        found = {}
        for title, *place in re.findall(line, self.do("xwininfo", "-root", "-tree")):
            width, height, x, y = map(int, place)
            found[title] = x, y, width, height
        return found

    def titles(self) -> str:
        """The titles of all windows."""
        return self.do("xwininfo", "-root", "-tree")

    def wait_for_stillness(self, seconds: float = 1.0) -> None:
        """Wait until no window has come, gone or moved for a while."""
        before, since = self.windows(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.05)
            now = self.windows()
            if now != before:
                before, since = now, time.monotonic()

    def type_into(self, title: str, *keys: str) -> None:
        """Click on the title of a window, unless keys go there, and press keys."""
        if not self.focus().startswith(title):  # two clicks would make it large
            x, y, _, _ = self.windows()[title]
            self.do("xdotool", "mousemove", str(x + 60), str(y - 8), "click", "1")
        processes.wait_for(lambda: self.focus().startswith(title), f"{title} has focus")
        self.do("xdotool", "key", "--delay", "100", *keys)

    def focus(self) -> str:
        """The title of the window that keys go to."""
        return self.do("xdotool", "getwindowfocus", "getwindowname")

    def close(self, title: str) -> None:
        """Click on the close button of a window."""
        x, y, width, _ = self.windows()[title]
        self.do("xdotool", "mousemove", str(x + width - 10), str(y - 10), "click", "1")
        processes.wait_for(lambda: title not in self.windows())

    def screenshot(self) -> NDArray[np.uint8]:
        """What is on the screen, (H, W, 3) BGR."""
        command = ["import", "-window", "root", "png:-"]
        result = processes.run(command, env=self.environment, text=False)
        data = result.stdout
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return picture.astype(np.uint8)


@contextmanager
def desktop() -> Iterator[Desktop]:
    """A new X server with a window manager, for as long as the context lasts."""
    reader, writer = os.pipe()
    screen = f"{SIZE[0]}x{SIZE[1]}x24"
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", screen]
    # Without -noreset the server starts anew when its last client leaves: a question
    # that is asked before the window manager has come would then turn that away.
    command += ["-nolisten", "tcp", "-noreset"]
    server = processes.start(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    started = [server]
    try:
        with os.fdopen(reader) as lines:
            assert select.select([lines], [], [], processes.PATIENCE)[0], "no X server"
            running = Desktop(f":{lines.readline().strip()}")
        quiet = {"env": running.environment, "stderr": subprocess.DEVNULL}
        running.manager = processes.start(["openbox"], **quiet)
        started.insert(0, running.manager)
        processes.wait_for(running.has_manager, "the window manager runs")
        yield running
    finally:
        for process in started:
            process.kill()
            process.wait(processes.PATIENCE)
