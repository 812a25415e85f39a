"""The service that lends databases: its HTTP API, and how to find or start it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable

ANSWER_SECONDS = 30
START_SECONDS = 300
PAUSE_SECONDS = 0.2


class ServiceError(Exception):
    """The service could not be found, started or reached, or it refused a request."""


@dataclass(frozen=True)
class Service:
    """Where a service is. The token is worth as much as its database role: never log it."""

    url: str
    token: str = field(repr=False)

    def lend(self, request: dict[str, Any]) -> dict[str, Any]:
        """Borrows a database; waits, within `waitMs`, for a service that is not ready yet."""
        wait_seconds = request["waitMs"] / 1000
        deadline = time.monotonic() + wait_seconds
        while True:
            status, body = self._ask("POST", "/databases", request, wait_seconds)
            if status == 201:
                return body
            if status != 503 or time.monotonic() > deadline:
                raise self._refused("POST /databases", status, body)
            time.sleep(PAUSE_SECONDS)

    def extend(self, lease_id: str, ttl_seconds: int) -> bool:
        """Lends a database for longer; false if it is not lent any more."""
        path = f"/databases/{lease_id}/expiry"
        status, body = self._ask("PUT", path, {"ttlSeconds": ttl_seconds})
        if status not in (200, 404):
            raise self._refused(f"PUT {path}", status, body)
        return status == 200

    def give_back(self, lease_id: str) -> None:
        """Returns a database; one that is not lent any more is no error."""
        path = f"/databases/{lease_id}"
        status, body = self._ask("DELETE", path)
        if status not in (204, 404):
            raise self._refused(f"DELETE {path}", status, body)

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, wait_seconds: float = 0
    ) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=wait_seconds + ANSWER_SECONDS) as response:
                return response.status, _parse(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parse(error.read())
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise ServiceError(
                f"cannot reach the service that lends test databases at {self.url}: {reason}"
            ) from error

    def _refused(self, request: str, status: int, body: dict[str, Any]) -> ServiceError:
        code, detail = body.get("code", "no code"), body.get("detail", "no detail")
        return ServiceError(f"{request} at {self.url} was answered with {status} ({code}): {detail}")


def find_service(root: Path, runner_pid: int) -> Service:
    """The service that the environment names; otherwise one of this run, started if need be.

    It is started by the npm package commandbus-db, and lives as long as the process `runner_pid`.
    """
    url, token = os.environ.get("COMMANDBUS_DB_URL"), os.environ.get("TEST_DATABASES_TOKEN")
    if not url:
        return _acquire(_find_program([root, Path.cwd()]), runner_pid)
    if not token:
        raise ServiceError(
            "COMMANDBUS_DB_URL is set, and TEST_DATABASES_TOKEN is not: set both for a service that is "
            "running, or neither for one that the tests start themselves"
        )
    return Service(url.rstrip("/"), token)


def _acquire(program: Path, runner_pid: int) -> Service:
    node = shutil.which("node")
    if node is None:
        raise ServiceError(
            "Node.js is not installed, which starts the service for the tests; install it, or set "
            "COMMANDBUS_DB_URL and TEST_DATABASES_TOKEN for a service that is running"
        )
    done = subprocess.run(
        [node, str(program), str(runner_pid)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=START_SECONDS,
    )
    if done.returncode != 0:
        raise ServiceError(done.stderr.strip())
    return Service(**json.loads(done.stdout))


def _find_program(folders: Iterable[Path]) -> Path:
    for folder in folders:
        for parent in [folder, *folder.parents]:
            program = parent / "node_modules/commandbus-db/dist/testing/acquire.js"
            if program.exists():
                return program
    raise ServiceError(
        "no service for the tests: set COMMANDBUS_DB_URL and TEST_DATABASES_TOKEN for one that is running, "
        "or install the npm package commandbus-db in this project, which starts one"
    )


def _parse(content: bytes) -> dict[str, Any]:
    """A proxy may answer in the place of the service, with something else."""
    try:
        parsed = json.loads(content or b"{}")
    except ValueError:
        return {"detail": content[:200].decode(errors="replace")}
    return parsed if isinstance(parsed, dict) else {}
