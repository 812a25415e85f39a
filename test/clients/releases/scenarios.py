"""What one release of the command bus's Python client does with the database, scenario by scenario.

Prints one JSON object: for each scenario `done`, `not offered`, or what went wrong. Everything is seen in
the database, not in what the client says of itself. Waits are for conditions, with a time limit.
"""

import asyncio
import json
import os
import sys
import threading
from enum import StrEnum
from uuid import uuid4

import commandbus
import psycopg

if "CLIENT_PRELUDE" in os.environ:
    # The lines of the documentation that an application puts before its start.
    exec(compile(open(os.environ["CLIENT_PRELUDE"]).read(), "prelude", "exec"))

from commandbus import (
    BatchCommand,
    BatchMetadata,
    CommandBus,
    HandlerRegistry,
    PermanentCommandError,
    PostgresBatchRepository,
    RetryPolicy,
    TransientCommandError,
    TroubleshootingQueue,
    Worker,
)
from psycopg_pool import AsyncConnectionPool, ConnectionPool

URL = os.environ["CLIENT_DATABASE_URL"]
DOMAIN = os.environ["CLIENT_DOMAIN"]
LIMIT_SECONDS = 30

BusinessRuleException = getattr(commandbus, "BusinessRuleException", None)
NOT_OFFERED = "not offered"


async def eventually(what, check):
    """Waits until `check` returns something true, and returns it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LIMIT_SECONDS
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        if loop.time() > deadline:
            raise AssertionError(f"not within {LIMIT_SECONDS} s: {what}")
        await asyncio.sleep(0.05)


class Release:
    """The client's parts, and questions to the database."""

    def __init__(self, pool, observer):
        self.pool = pool
        self.observer = observer
        self.bus = CommandBus(pool)
        self.operator = TroubleshootingQueue(pool)
        self.may_release = asyncio.Event()

    async def rows(self, statement, *values):
        async with self.observer.cursor() as cursor:
            await cursor.execute(statement, values)
            return await cursor.fetchall()

    async def value(self, statement, *values):
        rows = await self.rows(statement, *values)
        return rows[0][0] if rows else None

    async def status(self, command_id):
        return await self.value("select status from commandbus.command where command_id = %s", command_id)

    async def is_status(self, command_id, wanted):
        await eventually(
            f"command {wanted}",
            lambda: self.has_status(command_id, wanted),
        )

    async def has_status(self, command_id, wanted):
        return await self.status(command_id) == wanted

    async def batch(self, batch_id):
        columns = "status, completed_count, canceled_count, failed_count, in_troubleshooting_count"
        rows = await self.rows(f"select {columns} from commandbus.batch where batch_id = %s", batch_id)
        return tuple(rows[0])

    async def is_batch(self, batch_id, *wanted):
        async def check():
            return await self.batch(batch_id) == wanted

        try:
            await eventually(f"batch {wanted}", check)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {await self.batch(batch_id)}") from None

    async def send(self, command_type, reply_to=None):
        command_id = uuid4()
        await self.bus.send(DOMAIN, command_type, command_id, {"n": 1}, reply_to=reply_to, max_attempts=2)
        return command_id

    async def send_batch(self, *command_types):
        done = []

        async def on_complete(batch):
            done.append(batch.status.value)

        commands = [BatchCommand(kind, uuid4(), {}) for kind in command_types]
        created = await self.bus.create_batch(DOMAIN, commands, on_complete=on_complete)
        return created.batch_id, [command.command_id for command in commands], done

    def worker(self):
        registry = HandlerRegistry()
        for command_type in ("Succeed", "FailOnce", "Break", "Refuse", "Reserve", "Charge", "Release"):
            registry.register(DOMAIN, command_type, self.handle)
        policy = RetryPolicy(max_attempts=2, backoff_schedule=[0])
        return Worker(self.pool, DOMAIN, registry, retry_policy=policy)

    async def handle(self, command, context):
        if command.command_type == "Release":
            await self.may_release.wait()
        return decide(command, context)


def decide(command, context):
    if command.command_type == "FailOnce" and context.attempt == 1:
        raise TransientCommandError("BUSY", "try again")
    if command.command_type == "Break":
        raise PermanentCommandError("BROKEN", "needs an operator")
    if command.command_type == "Refuse":
        raise BusinessRuleException("CLOSED", "the account is closed")
    return {"echo": command.data}


async def commands(release):
    command_id = await release.send("Succeed", reply_to=f"{DOMAIN}__replies")
    await release.is_status(command_id, "COMPLETED")
    outcome = await release.value(
        f"select message ->> 'outcome' from pgmq.q_{DOMAIN}__replies where message ->> 'command_id' = %s",
        str(command_id),
    )
    assert outcome == "SUCCESS", f"the reply says {outcome}"


async def retries(release):
    command_id = await release.send("FailOnce")
    await release.is_status(command_id, "COMPLETED")
    attempts = await release.value("select attempts from commandbus.command where command_id = %s", command_id)
    assert attempts == 2, f"{attempts} attempts"


async def troubleshooting(release):
    command_ids = [await release.send("Break") for _ in range(3)]
    for command_id in command_ids:
        await release.is_status(command_id, "IN_TROUBLESHOOTING_QUEUE")
    retried, canceled, completed = command_ids
    await release.operator.operator_cancel(DOMAIN, canceled, "not needed", operator="ops")
    await release.operator.operator_complete(DOMAIN, completed, {"by": "hand"}, operator="ops")
    await release.operator.operator_retry(DOMAIN, retried, operator="ops")
    await release.is_status(retried, "IN_TROUBLESHOOTING_QUEUE")
    attempts = "select count(*) from commandbus.audit where command_id = %s and event_type = 'MOVED_TO_TSQ'"

    async def moved_again():
        return await release.value(attempts, retried) == 2

    await eventually("the retried command is tried again", moved_again)
    assert await release.status(canceled) == "CANCELED"
    assert await release.status(completed) == "COMPLETED"


async def batches(release):
    batch_id, command_ids, done = await release.send_batch("Succeed", "FailOnce", "Break")
    await release.is_batch(batch_id, "IN_PROGRESS", 2, 0, 0, 1)
    assert done == [], f"the callback came early: {done}"
    await release.operator.operator_cancel(DOMAIN, command_ids[2], "not needed", operator="ops")
    await release.is_batch(batch_id, "COMPLETED_WITH_FAILURES", 2, 1, 0, 0)
    await eventually("the callback of the batch", lambda: done == ["COMPLETED_WITH_FAILURES"])


async def statistics(release):
    if not hasattr(PostgresBatchRepository, "refresh_stats"):
        return NOT_OFFERED
    batch_id, _, _ = await release.send_batch("Succeed", "Break")
    await release.is_batch(batch_id, "IN_PROGRESS", 1, 0, 0, 1)
    batch = await PostgresBatchRepository(release.pool).refresh_stats(DOMAIN, batch_id)
    found = (batch.status.value, batch.completed_count, batch.in_troubleshooting_count)
    assert found == ("IN_PROGRESS", 1, 1), f"the client reads {found}"


async def business_rules(release):
    if BusinessRuleException is None:
        return NOT_OFFERED
    batch_id, command_ids, done = await release.send_batch("Succeed", "Refuse")
    await release.is_status(command_ids[1], "FAILED")
    await release.is_batch(batch_id, "COMPLETED_WITH_FAILURES", 1, 0, 1, 0)
    await eventually("the callback of the batch", lambda: done == ["COMPLETED_WITH_FAILURES"])


def find_process_manager():
    try:
        from commandbus.process import (
            BaseProcessManager,
            PostgresProcessRepository,
            ProcessCommand,
            ProcessReplyRouter,
        )
    except ImportError:
        return None

    class Step(StrEnum):
        RESERVE = "Reserve"
        CHARGE = "Charge"
        BREAK = "Break"
        REFUSE = "Refuse"
        RELEASE = "Release"

    class State:
        def __init__(self, second):
            self.second = second

        def to_dict(self):
            return {"second": self.second}

        @classmethod
        def from_dict(cls, data):
            return cls(data["second"])

    class OrderProcess(BaseProcessManager):
        process_type = "ORDER"
        domain = DOMAIN
        state_class = State

        def create_initial_state(self, initial_data):
            return State(initial_data["second"])

        def get_first_step(self, _state):
            return Step.RESERVE

        async def build_command(self, step, _state):
            return ProcessCommand(str(step), {"step": str(step)})

        def update_state(self, state, step, reply):
            pass

        def get_next_step(self, current_step, _reply, state):
            return Step(state.second) if current_step == Step.RESERVE else None

        def get_compensation_step(self, step):
            return Step.RELEASE if step == Step.RESERVE else None

    return OrderProcess, PostgresProcessRepository, ProcessReplyRouter


class Processes:
    """The process manager with its router, for the time of a scenario."""

    def __init__(self, release, parts):
        order_process, repository, router = parts
        reply_queue = "reporting__process_replies"
        store = repository(release.pool)
        self.release = release
        self.manager = order_process(release.bus, store, reply_queue, release.pool)
        self.router = router(release.pool, store, {"ORDER": self.manager}, reply_queue, DOMAIN)

    async def __aenter__(self):
        self.running = asyncio.create_task(self.router.run(concurrency=2, poll_interval=0.05))
        return self

    async def __aexit__(self, *_):
        await self.router.stop(timeout=5)
        self.running.cancel()

    async def is_status(self, process_id, wanted):
        async def check():
            found = await self.release.value(
                "select status from commandbus.process where process_id = %s", process_id
            )
            return found == wanted

        await eventually(f"process {wanted}", check)

    async def steps(self, process_id):
        return await self.release.rows(
            "select step_name, reply_outcome from commandbus.process_audit where process_id = %s order by id",
            process_id,
        )

    async def command_of(self, process_id, step):
        return await self.release.value(
            "select command_id from commandbus.process_audit where process_id = %s and step_name = %s",
            process_id,
            step,
        )


async def process_completed(release):
    parts = find_process_manager()
    if parts is None:
        return NOT_OFFERED
    async with Processes(release, parts) as processes:
        process_id = await processes.manager.start({"second": "Charge"})
        await processes.is_status(process_id, "COMPLETED")
        steps = await processes.steps(process_id)
        assert steps == [("Reserve", "SUCCESS"), ("Charge", "SUCCESS")], steps


async def process_compensated(release):
    parts = find_process_manager()
    if parts is None:
        return NOT_OFFERED
    release.may_release.clear()
    async with Processes(release, parts) as processes:
        process_id = await processes.manager.start({"second": "Break"})
        broken = await eventually("the second step", lambda: processes.command_of(process_id, "Break"))
        await release.is_status(broken, "IN_TROUBLESHOOTING_QUEUE")
        await release.operator.operator_cancel(DOMAIN, broken, "not needed", operator="ops")
        await processes.is_status(process_id, "COMPENSATED")
        await released(release, processes, process_id, "CANCELED")


async def process_failed(release):
    parts = find_process_manager()
    if parts is None or BusinessRuleException is None:
        return NOT_OFFERED
    release.may_release.clear()
    async with Processes(release, parts) as processes:
        process_id = await processes.manager.start({"second": "Refuse"})
        await processes.is_status(process_id, "CANCELED")
        await released(release, processes, process_id, "FAILED")


async def released(release, processes, process_id, second_outcome):
    """The compensation runs, and its reply is recorded."""
    release.may_release.set()

    async def check():
        return (await processes.steps(process_id))[-1] == ("Release", "SUCCESS")

    await eventually("the reply to the compensation", check)
    outcomes = [outcome for _, outcome in await processes.steps(process_id)]
    assert outcomes == ["SUCCESS", second_outcome, "SUCCESS"], outcomes


async def process_batch(release):
    parts = find_process_manager()
    if parts is None or not hasattr(BatchMetadata(DOMAIN, uuid4()), "batch_type"):
        return NOT_OFFERED
    batches = PostgresBatchRepository(release.pool)
    batch_id = uuid4()
    await batches.save(BatchMetadata(DOMAIN, batch_id, batch_type="PROCESS", total_count=2))
    async with Processes(release, parts) as processes:
        for _ in range(2):
            process_id = await processes.manager.start({"second": "Charge"}, batch_id=batch_id)
            await processes.is_status(process_id, "COMPLETED")
    batch = await batches.refresh_stats(DOMAIN, batch_id)
    found = (batch.batch_type, batch.status.value, batch.completed_count)
    assert found == ("PROCESS", "COMPLETED", 2), f"the client reads {found}"


async def sync_runtime(release):
    if not hasattr(commandbus, "SyncWorker"):
        return NOT_OFFERED
    with ConnectionPool(URL, min_size=1, max_size=6) as pool:
        registry = HandlerRegistry()
        for command_type in ("Succeed", "FailOnce"):
            registry.register_sync("payments", command_type, decide)
        policy = RetryPolicy(max_attempts=2, backoff_schedule=[0])
        worker = commandbus.SyncWorker(pool, "payments", registry, retry_policy=policy)
        running = threading.Thread(target=worker.run, kwargs={"concurrency": 2, "poll_interval": 0.05})
        running.start()
        try:
            bus = commandbus.SyncCommandBus(pool)
            done = []
            commands = [BatchCommand(kind, uuid4(), {}) for kind in ("Succeed", "FailOnce")]
            created = await asyncio.to_thread(
                bus.create_batch, "payments", commands, on_complete=lambda batch: done.append(batch.status.value)
            )
            await release.is_batch(created.batch_id, "COMPLETED", 2, 0, 0, 0)
            await eventually("the callback of the batch", lambda: done == ["COMPLETED"])
        finally:
            await asyncio.to_thread(worker.stop, 5)
            running.join(10)


async def sync_process_batch(release):
    """A PROCESS batch that the synchronous side saves."""
    if not hasattr(commandbus, "SyncWorker") or not hasattr(BatchMetadata(DOMAIN, uuid4()), "batch_type"):
        return NOT_OFFERED
    from commandbus.sync.repositories import SyncBatchRepository

    batch_id = uuid4()
    with ConnectionPool(URL, min_size=1, max_size=2) as pool:
        batch = BatchMetadata(DOMAIN, batch_id, batch_type="PROCESS", total_count=1)
        await asyncio.to_thread(SyncBatchRepository(pool).save, batch)
    found = await release.value("select batch_type from commandbus.batch where batch_id = %s", batch_id)
    assert found == "PROCESS", f"saved as {found}"


SCENARIOS = {
    "commands": commands,
    "retries": retries,
    "troubleshooting": troubleshooting,
    "batches": batches,
    "statistics": statistics,
    "businessRules": business_rules,
    "processCompleted": process_completed,
    "processCompensated": process_compensated,
    "processFailed": process_failed,
    "processBatch": process_batch,
    "syncRuntime": sync_runtime,
    "syncProcessBatch": sync_process_batch,
}


async def main():
    results = {}
    async with (
        AsyncConnectionPool(URL, min_size=2, max_size=12) as pool,
        await psycopg.AsyncConnection.connect(URL, autocommit=True) as observer,
    ):
        release = Release(pool, observer)
        worker = release.worker()
        running = asyncio.create_task(worker.run(concurrency=3, poll_interval=0.05))
        for name, scenario in SCENARIOS.items():
            try:
                results[name] = await scenario(release) or "done"
            except Exception as error:
                results[name] = f"{type(error).__name__}: {error}"
        release.may_release.set()
        await worker.stop(timeout=5)
        running.cancel()
    print(json.dumps(results))


asyncio.run(main())
sys.exit(0)
