"""The command bus's Python client, driven by lines of JSON: one call in, one answer out.

A worker answers the queue of a domain as a deployment's would. What it does with a command stands in the
command's type: Succeed, FailOnce, FailAlways, FailUntilRetried.
"""

import asyncio
import json
import os
import sys
from uuid import UUID, uuid4

from commandbus import (
    BatchCommand,
    CommandBus,
    HandlerRegistry,
    PermanentCommandError,
    RetryPolicy,
    TransientCommandError,
    TroubleshootingQueue,
    Worker,
)
from psycopg_pool import AsyncConnectionPool


class Session:
    def __init__(self, pool):
        self.pool = pool
        self.bus = CommandBus(pool)
        self.operator = TroubleshootingQueue(pool)
        self.workers = []
        self.failed_once = set()
        self.completed_batches = []

    async def work(self, domain, poll_seconds):
        registry = HandlerRegistry()
        for command_type in ("Succeed", "FailOnce", "FailAlways", "FailUntilRetried"):
            registry.register(domain, command_type, self.handle)
        policy = RetryPolicy(max_attempts=2, backoff_schedule=[0])
        worker = Worker(self.pool, domain, registry, retry_policy=policy)
        running = asyncio.create_task(worker.run(concurrency=3, poll_interval=poll_seconds))
        self.workers.append((worker, running))

    async def handle(self, command, context):
        if command.command_type == "FailOnce" and context.attempt == 1:
            raise TransientCommandError("BUSY", "try again")
        if command.command_type == "FailAlways":
            raise TransientCommandError("BUSY", "try again")
        if command.command_type == "FailUntilRetried" and command.command_id not in self.failed_once:
            self.failed_once.add(command.command_id)
            raise PermanentCommandError("BROKEN", "needs an operator")
        return {"echo": command.data}

    async def send(self, domain, command_type, data, reply_to=None):
        sent = await self.bus.send(
            domain, command_type, uuid4(), data, reply_to=reply_to, max_attempts=2
        )
        return str(sent.command_id)

    async def send_batch(self, domain, command_types):
        commands = [BatchCommand(kind, uuid4(), {"n": n}) for n, kind in enumerate(command_types)]

        async def on_complete(batch):
            self.completed_batches.append([str(batch.batch_id), batch.status.value])

        created = await self.bus.create_batch(domain, commands, on_complete=on_complete)
        return {
            "batchId": str(created.batch_id),
            "commandIds": [str(result.command_id) for result in created.command_results],
        }

    async def list_completed_batches(self):
        return self.completed_batches

    async def list_troubleshooting(self, domain):
        items = await self.operator.list_troubleshooting(domain)
        return [[str(item.command_id), item.last_error_code, item.payload["data"]] for item in items]

    async def operator_retry(self, domain, command_id):
        await self.operator.operator_retry(domain, UUID(command_id), operator="ops")

    async def operator_cancel(self, domain, command_id):
        await self.operator.operator_cancel(domain, UUID(command_id), "not needed", operator="ops")

    async def operator_complete(self, domain, command_id):
        await self.operator.operator_complete(domain, UUID(command_id), {"by": "hand"}, operator="ops")

    async def close(self):
        for worker, running in self.workers:
            await worker.stop(timeout=5)
            running.cancel()


async def main():
    # The address comes by the environment: arguments can be read by everybody on the machine.
    async with AsyncConnectionPool(os.environ["CLIENT_DATABASE_URL"], min_size=2, max_size=8) as pool:
        session = Session(pool)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            call, *arguments = json.loads(line)
            try:
                answer = {"result": await getattr(session, call)(*arguments)}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)
        await session.close()


asyncio.run(main())
