import psycopg
import pytest


@pytest.fixture
def connection(commandbus_database):
    with psycopg.connect(commandbus_database.url, autocommit=True) as connection:
        yield connection


def test_a_new_batch_is_the_only_one(connection):
    connection.execute(
        """insert into commandbus.batch (domain, batch_id, name, total_count)
           values ('payments', gen_random_uuid(), 'refunds', 1)"""
    )
    assert connection.execute("select name from commandbus.batch").fetchall() == [("refunds",)]
