"""Two databases behind one small interface: SQLite in the data folder, or PostgreSQL.

SQL is written once, with named parameters as SQLite has them (``:name``), in the words that both understand.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from unmask.errors import UsageError

Row = Mapping[str, Any]
_NAMED = re.compile(r":([a-z_0-9]+)")


class Database(Protocol):
    """Runs statements; each is a transaction of its own. Safe to use from several threads."""

    def read(self, sql: str, **values: Any) -> list[Row]:
        """Return the rows of a query, which may run beside a `write`."""
        ...

    def write(self, sql: str, **values: Any) -> list[Row]:
        """Run one statement that changes something; it is on the disk when this returns. Rows: see RETURNING."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Sqlite:
    """SQLite in a file: one connection writes, another one reads beside it (WAL)."""

    def __init__(self, path: Path) -> None:
        self._writer, self._reader = self._connect(path), self._connect(path)
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what a client was promised survives a power cut
        return connection

    def read(self, sql: str, **values: Any) -> list[Row]:
        """See `Database`."""
        with self._read_lock:
            return [dict(row) for row in self._reader.execute(sql, values)]

    def write(self, sql: str, **values: Any) -> list[Row]:
        """See `Database`."""
        with self._write_lock:
            return [dict(row) for row in self._writer.execute(sql, values)]

    def close(self) -> None:
        """See `Database`."""
        with self._read_lock, self._write_lock:
            self._reader.close()
            self._writer.close()  # the last one: it takes the log in


class Postgres:
    """PostgreSQL by its address; a connection that breaks is made again."""

    def __init__(self, url: str) -> None:
        import psycopg
        from psycopg.rows import dict_row

        def connect() -> psycopg.Connection[dict[str, Any]]:
            try:
                return psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=10)
            except psycopg.OperationalError as error:
                what = str(error).strip().splitlines()[-1]
                raise UsageError(f"the database cannot be reached: {what}; see that it runs and takes you") from error

        self._connect, self._broken = connect, psycopg.OperationalError
        self._connection, self._lock = connect(), threading.Lock()

    def read(self, sql: str, **values: Any) -> list[Row]:
        """See `Database`."""
        return self._run(sql, values)

    def write(self, sql: str, **values: Any) -> list[Row]:
        """See `Database`."""
        return self._run(sql, values)

    def _run(self, sql: str, values: dict[str, Any]) -> list[Row]:
        statement = _NAMED.sub(r"%(\1)s", sql).encode()
        with self._lock:
            if self._connection.closed:
                self._connection = self._connect()
            try:
                cursor = self._connection.execute(statement, values)
                return list(cursor.fetchall()) if cursor.description else []
            except self._broken:
                self._connection.close()  # the next call makes a new one; this one may or may not have been run
                raise

    def close(self) -> None:
        """See `Database`."""
        with self._lock:
            self._connection.close()


def open_database(url: str | None, folder: Path) -> Database:
    """Open PostgreSQL by its address, or SQLite in a folder.

    Raises:
        UsageError: PostgreSQL cannot be reached.
    """
    return Postgres(url) if url else Sqlite(folder / "jobs.sqlite")
