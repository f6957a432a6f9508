"""What tests of several files ask for."""

import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import image_diff

start_pool = image_diff.process_pool

# No test hangs on the speed of the machine.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as Python has it, whoever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def kept_pool() -> Iterator[ProcessPoolExecutor]:
    """One worker for all runs in this process, as its start takes longer than a run."""
    with start_pool(1) as pool:
        yield pool


@pytest.fixture
def own_workers() -> None:
    """For a test of workers, or that changes the folder: its runs start their own."""


@pytest.fixture(autouse=True)
def _kept_worker(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in this process is given the worker of those before."""

    def kept(jobs: int) -> contextlib.nullcontext[ProcessPoolExecutor]:
        return contextlib.nullcontext(request.getfixturevalue("kept_pool"))

    if "own_workers" not in request.fixturenames:
        monkeypatch.setattr(image_diff, "process_pool", kept)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder for the tests, and the processes that they start, alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def closed_documents() -> Iterator[None]:
    """What stays open until the process ends is closed before Python complains."""
    yield
    for source in image_diff.KEPT.values():
        source.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests, as its start takes seconds."""
    from chromium import chromium

    with chromium() as driver:
        yield driver


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that must not complain, nor ask for anything outside of its folder."""
    from chromium import Page

    page = Page(browser)
    browser.get("about:blank")
    page.requests(), page.complaints()
    yield page
    assert page.complaints() == []
    for url in page.requests():
        assert url.startswith(
            (f"{page.root.as_uri().rstrip('/')}/", "about:", "data:")
        ), url
