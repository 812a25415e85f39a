import os

import psycopg
import pytest


@pytest.fixture(autouse=True)
def empty_tables():
    url = os.environ.get("DATABASE_URL", "postgres://postgres:postgres@localhost:54320/commandbus")
    with psycopg.connect(url) as connection:
        connection.execute(
            "truncate commandbus.batch, commandbus.command, commandbus.audit, commandbus.payload_archive"
        )
        connection.execute("select pgmq.purge_queue(queue_name) from pgmq.meta")
