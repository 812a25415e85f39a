"""The pytest plugin: the fixture `commandbus_database`, and the setting of its scope."""

from __future__ import annotations

import os
from typing import Iterator

import pytest

from .lease import LeasedDatabase, lease_database
from .service import Service, find_service

SETTING = "commandbus_database_per"
SCOPES = {"test": "function", "worker": "session"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        SETTING,
        "Whether each test gets a database of its own (test), or all tests of a worker share one (worker).",
        default="test",
    )


def _scope(fixture_name: str, config: pytest.Config) -> str:
    wanted = config.getini(SETTING)
    if wanted not in SCOPES:
        raise pytest.UsageError(f"{SETTING} is {wanted!r}; expected one of {', '.join(SCOPES)}")
    return SCOPES[wanted]


@pytest.fixture(scope="session")
def commandbus_service(request: pytest.FixtureRequest) -> Service:
    """The service that lends databases to this run."""
    # The workers of pytest-xdist are children of the process that the whole run belongs to.
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    return find_service(request.config.rootpath, os.getppid() if is_worker else os.getpid())


@pytest.fixture(scope=_scope)
def commandbus_database(
    request: pytest.FixtureRequest, commandbus_service: Service
) -> Iterator[LeasedDatabase]:
    """A migrated database that nobody else has: for a test, or for a worker."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "pytest")
    with lease_database(
        commandbus_service, label=f"{worker}: {request.node.nodeid or 'all tests'}"
    ) as database:
        yield database
