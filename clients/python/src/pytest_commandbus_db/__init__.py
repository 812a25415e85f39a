"""Migrated databases for tests, lent by a commandbus-db service."""

from .lease import LeasedDatabase, lease_database
from .service import Service, ServiceError

__all__ = ["LeasedDatabase", "Service", "ServiceError", "lease_database"]
