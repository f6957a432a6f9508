"""A browser for a test: what a person sees in it and does with mouse and keyboard."""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

import processes

PROGRAMS = "chromium", "chromedriver"
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-sync --disable-background-networking --disable-component-update"
)
DESKTOP, PHONE = (1400, 900), (390, 844)
Picture = NDArray[Any]


class Page:
    """An open page; every method acts as a person at the screen would."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        """Act in this browser."""
        self.driver = driver
        self.folder = self.root = Path("/")

    def open(
        self,
        folder: Path,
        size: tuple[int, int] = DESKTOP,
        scheme: str = "light",
        root: Path | None = None,
    ) -> None:
        """Show the page of a folder on a screen of this size, in light or dark.

        root: the folder in which everything is that it may ask for, if not that one.
        """
        self.folder, self.root = folder, root or folder
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1}
        metrics["mobile"] = size == PHONE
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": features}
        )
        self.driver.get("about:blank")
        self.driver.get(folder.joinpath("index.html").as_uri())

    def record(self) -> dict[str, Any]:
        """What result.json tells."""
        result: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return result

    def picture(self, name: str) -> Picture:
        """A picture of the folder, (H, W, 3) BGR."""
        picture = cv2.imread(str(self.folder / f"{name}.png"))
        assert picture is not None
        return picture.astype(int)

    def act(self) -> ActionChains:
        """Mouse and keyboard."""
        return ActionChains(self.driver, duration=20)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        self.act().send_keys(*keys).perform()

    def find(self, css: str) -> list[WebElement]:
        """The elements that can be seen."""
        elements = self.driver.find_elements(By.CSS_SELECTOR, css)
        return [element for element in elements if element.is_displayed()]

    def text(self, css: str) -> str:
        """The text of the first such element that can be seen."""
        return self.find(css)[0].text

    def click(self, label: str) -> None:
        """Click on a label or a button with the mouse."""
        texts = (e for e in self.find("label, button") if e.text == label)
        next(texts).click()

    def click_link(self, text: str) -> None:
        """Click on a link with the mouse."""
        next(link for link in self.find("a") if link.text == text).click()

    def mouse(self, kind: str, x: float, y: float, **values: object) -> None:
        """Press, move or release the left button at a place of the screen."""
        place = {"type": f"mouse{kind}", "x": x, "y": y}
        button = {"button": "left", "clickCount": 1, "buttons": int(kind != "Released")}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", place | button | values)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Drag with the mouse from one place of the screen to another."""
        self.mouse("Pressed", *start)
        for share in (0.3, 0.7, 1):
            x, y = (a + share * (b - a) for a, b in zip(start, stop, strict=True))
            self.mouse("Moved", x, y)
        self.mouse("Released", *stop)

    def wheel(self, x: float, y: float, delta: float) -> None:
        """Turn the wheel at a place of the screen."""
        self.mouse("Wheel", x, y, deltaX=0, deltaY=delta, button="none", buttons=0)

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Put fingers on the screen, move them or take them away."""
        places = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        event = {"type": f"touch{kind}", "touchPoints": places}
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def exact_place(self, css: str) -> tuple[float, float, float, float]:
        """Left, top, right and bottom on the screen of the first element."""
        script = "return document.querySelector(arguments[0]).getBoundingClientRect()"
        place = self.run(f"{script}.toJSON()", css)
        return place["left"], place["top"], place["right"], place["bottom"]

    def place(self, css: str) -> tuple[int, int, int, int]:
        """`exact_place` in whole pixels."""
        left, top, right, bottom = (
            math.floor(side + 0.5) for side in self.exact_place(css)
        )
        return left, top, right, bottom

    def screen(self) -> Picture:
        """What is on the screen, (H, W, 3) BGR."""
        data = np.frombuffer(self.driver.get_screenshot_as_png(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert picture is not None
        return picture.astype(int)

    def seen(self, css: str) -> Picture:
        """The pixels at the place of the first such element."""
        left, top, right, bottom = self.place(css)
        return self.screen()[max(0, top) : bottom, max(0, left) : right]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds."""
        processes.wait_for(condition)

    def controls(self) -> dict[str, list[str]]:
        """The names of the page's elements by role, as a screen reader has them."""
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        names: dict[str, list[str]] = {}
        for node in tree:
            if "name" in node:
                role, name = node["role"]["value"], node["name"]["value"]
                names.setdefault(role, []).append(name)
        return names

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What the browser has logged since it was last asked."""
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries

    def complaints(self) -> list[str]:
        """What the console has told since it was last asked."""
        return [entry["message"] for entry in self.log("browser")]

    def requests(self) -> set[str]:
        """The addresses asked for since the last time, without those refused."""
        asked = {}
        for entry in self.log("performance"):
            message = json.loads(entry["message"])["message"]
            method, event = message["method"], message["params"]
            if method == "Network.requestWillBeSent":
                asked[event["requestId"]] = event["request"]["url"]
            elif method == "Network.loadingFailed" and "blockedReason" in event:
                asked.pop(event["requestId"], None)
        return set(asked.values())

    def fits_sideways(self) -> bool:
        """Whether nothing has to be scrolled to the side."""
        sizes = "[root.scrollWidth, root.clientWidth]"
        wide, seen = self.run(f"const root = document.documentElement; return {sizes}")
        return bool(wide == seen)

    def faults(self) -> list[str]:
        """What axe-core finds that keeps people out."""
        from axe_core_python.selenium import Axe

        found = Axe().run(self.driver)["violations"]
        nodes = [
            (fault["id"], node["html"]) for fault in found for node in fault["nodes"]
        ]
        return [f"{name}: {html}" for name, html in nodes]


@contextmanager
def browser(
    options: webdriver.ChromeOptions, flags: Sequence[str]
) -> Iterator[webdriver.Chrome]:
    """A browser with these options and flags, and a profile of its own."""
    options.binary_location = str(shutil.which("chromium"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*flags, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        try:
            yield driver
        finally:
            driver.quit()


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser without a window, which keeps what its console and network tell."""
    options = webdriver.ChromeOptions()
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    with browser(options, FLAGS.split()) as driver:
        yield driver
