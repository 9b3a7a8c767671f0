"""What the tests share: one server for all of them, a client, sandboxes that are deleted whatever happens."""

import contextlib
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import recorded  # noqa: E402
from server import Server  # noqa: E402
from waiting import eventually  # noqa: E402


@pytest.fixture(scope="session")
def server():
    running = Server()
    os.environ["DAYTONA_API_URL"] = running.url
    os.environ["DAYTONA_API_KEY"] = running.key
    recorded.start(running.url)
    yield running
    from daytona import Daytona, DaytonaNotFoundError

    daytona = Daytona()
    for sandbox in list(daytona.list()):
        with contextlib.suppress(DaytonaNotFoundError):  # It may have been on its way out already.
            sandbox.delete()
    eventually(lambda: not list(daytona.list()), "sandboxes are left")
    running.close()


@pytest.fixture(scope="session")
def daytona(server):
    from daytona import Daytona

    return Daytona()


@pytest.fixture
def make(daytona):
    """Makes sandboxes that do not outlive the test: `make()`, `make(CreateSandboxFromSnapshotParams(…))`."""
    from daytona import DaytonaNotFoundError

    made = []

    def create(*args, **kwargs):
        sandbox = daytona.create(*args, **kwargs)
        made.append(sandbox)
        return sandbox

    yield create
    for sandbox in made:
        try:
            sandbox.delete()
        except DaytonaNotFoundError:
            pass


@pytest.fixture(scope="session")
def sandbox(daytona):
    """One sandbox for tests that leave no traces another test could see."""
    shared = daytona.create()
    yield shared
    shared.delete()


def pytest_collection_modifyitems(items):
    """The test that counts what all others called runs last."""
    items.sort(key=lambda item: "coverage" in item.nodeid)
