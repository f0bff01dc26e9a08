"""Fixtures: a local cluster with the images of this checkout. The tests of a module build on each other."""

from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.e2e import evidence, images, local

FAILED = pytest.StashKey[str]()
NAMESPACES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
async def cluster() -> str:
    """Return the current context, after loading all images into its nodes. Exits if it is not local."""
    context = local.current_context()
    try:
        load = local.loader(context)
    except local.NotLocalError as error:
        pytest.exit(str(error), returncode=2)
    await images.bring(context, load)
    return context


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Start Chromium."""
    assert CHROMIUM.exists(), f"there is no browser at {CHROMIUM}: apt install chromium, or set CHROMIUM"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
def namespaces(request: pytest.FixtureRequest) -> list[str]:
    """Return a list for the namespaces of the module; their content is reported when a test fails."""
    found: list[str] = []
    request.node.stash[NAMESPACES] = found
    return found


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test if an earlier one of its module has failed."""
    module = item.getparent(pytest.Module)
    if module is not None and FAILED in module.stash:
        pytest.skip(f"{module.stash[FAILED]} has failed before")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add pods, events and logs of the cluster to the report of a failure."""
    report = yield
    module = item.getparent(pytest.Module)
    if report.failed and module is not None:
        module.stash.setdefault(FAILED, item.name)
        namespaces: list[str] = module.stash.get(NAMESPACES, [])
        report.sections.append(("the cluster", evidence.gather(namespaces, item.name)))
    return report
