"""A database for the time of a `with` block."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Iterator

from .service import Service, ServiceError


@dataclass(frozen=True)
class LeasedDatabase:
    """A migrated database that nobody else has."""

    #: The connection string, with the password: never log it.
    url: str = field(repr=False)
    id: str
    name: str
    #: The number and the hash of the last migration that it has.
    history: dict[str, str]


@contextmanager
def lease_database(
    service: Service,
    *,
    label: str,
    ttl_seconds: int = 120,
    wait_ms: int = 60_000,
    through: str | None = None,
) -> Iterator[LeasedDatabase]:
    """Borrows a database and returns it at the end; close its connections before that.

    The lease is extended while this process lives, and runs out `ttl_seconds` after a crash.
    """
    request: dict[str, Any] = {"ttlSeconds": ttl_seconds, "waitMs": wait_ms, "label": label[:200]}
    if through is not None:
        request["through"] = through
    lent = service.lend(request)
    ended = threading.Event()
    extender = threading.Thread(
        target=_keep_extending, args=(service, lent["id"], ttl_seconds, ended), daemon=True
    )
    extender.start()
    try:
        yield LeasedDatabase(**{name: lent[name] for name in ("url", "id", "name", "history")})
    finally:
        ended.set()
        service.give_back(lent["id"])


def _keep_extending(
    service: Service, lease_id: str, ttl_seconds: int, ended: threading.Event
) -> None:
    while not ended.wait(ttl_seconds / 3):
        try:
            if not service.extend(lease_id, ttl_seconds):
                return
        except ServiceError:
            # The next attempt is before the lease runs out.
            pass
