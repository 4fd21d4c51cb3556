"""From a URL to one of Optuna's storages, with errors a user understands and without passwords in them."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supernet.values import SpecError, first_line, printable, show

from .patience import Patience, StorageError, reason

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy.engine import URL

PROXY = "grpc://"
FORMS = "sqlite:///FILE, postgresql+psycopg://USER@HOST/DATABASE or grpc://HOST:PORT"
OPENING_S = 5.0
"""Two processes that make the same tables at once get in each other's way; a wrong address is not worth more."""
LOCKED_S = 10.0
"""SQLite waits so long for another process before it says so."""
_KEEP_ALIVE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


@dataclass(frozen=True)
class Connection:
    storage: BaseStorage
    patience: Patience
    close: Callable[[], None]


def file_url(file: Path) -> str:
    """Of a SQLite file, whatever it is called."""
    from sqlalchemy.engine import URL

    return URL.create("sqlite", database=str(file.absolute())).render_as_string(hide_password=False)


def connect(url: str, patience_s: float) -> Connection:
    """A SpecError where the URL is wrong, a StorageError where nobody answers."""
    return _proxy(url, patience_s) if url.startswith(PROXY) else _database(url, patience_s)


def _database(url: str, patience_s: float) -> Connection:
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, SQLAlchemyError

    try:
        parts = make_url(url)
    except ArgumentError:
        raise SpecError("storage", f"{show(url)} is no URL such as {FORMS}") from None
    name = printable(parts.render_as_string(hide_password=True))
    options = _options(parts, name, patience_s)

    def is_passing(error: Exception) -> bool:
        return (
            isinstance(error, SQLAlchemyError) and not isinstance(error, ArgumentError) and not _is_no_database(error)
        )

    opening = Patience(name, is_passing, min(patience_s, OPENING_S))
    try:
        template = url.replace("{", "{{").replace("}", "}}")
        database = opening(RDBStorage, template, engine_kwargs=options)
    except DatabaseError as error:
        if not _is_no_database(error):
            raise
        raise StorageError(f"storage: {name} is no study, or damaged: {first_line(error.orig or error)}") from None
    except StorageInternalError as error:  # a table that can't be written to
        raise StorageError(f"storage: {name} is no study, or damaged: {reason(error)}") from None
    except NoSuchModuleError:
        raise SpecError("storage", f"{name}: this kind of database is unknown; right is {FORMS}") from None
    except ImportError as error:
        raise SpecError("storage", f"{name} needs a package that is not here: {reason(error)}") from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise SpecError("storage", f"{name}: {first_line(error)}") from None
    return Connection(get_storage(database), Patience(name, _is_away, patience_s), database.engine.dispose)


def _is_no_database(error: Exception) -> bool:
    """SQLite's word for a file of something else, and for a damaged one."""
    return getattr(getattr(error, "orig", None), "sqlite_errorcode", None) in (
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
    )


def _is_away(error: Exception) -> bool:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError, PendingRollbackError, TimeoutError

    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, DBAPIError | PendingRollbackError | TimeoutError)


def _options(parts: URL, name: str, patience_s: float) -> dict[str, Any]:
    kind = parts.get_backend_name()
    if kind == "postgresql":
        return {"pool_pre_ping": True, "connect_args": _KEEP_ALIVE}
    if kind != "sqlite":
        return {"pool_pre_ping": True}
    if parts.database in (None, "", ":memory:"):
        raise SpecError("storage", f"{name} keeps nothing: right is sqlite:///FILE")
    file = Path(str(parts.database)).absolute()
    if not file.parent.is_dir():
        raise SpecError("storage", f"{name}: there is no folder {printable(str(file.parent))}")
    if file.is_dir():
        raise SpecError("storage", f"{name}: {printable(str(file))} is a folder, not a file")
    wait_s = min(patience_s, LOCKED_S)
    return {"connect_args": {"timeout": wait_s}, "pool_events": [(_for_several_processes, "connect")]}


def _for_several_processes(connection: Any, _: object) -> None:
    """Readers, such as a dashboard, don't wait for writers, nor writers for readers. A killed process loses nothing; a
    power cut may lose the last evaluations, and leaves the others as they were."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _proxy(url: str, patience_s: float) -> Connection:
    parts = re.fullmatch(r"grpc://(\[[^\]\s]+\]|[^:/\s]+):(\d{1,5})/?", url)
    if parts is None:
        raise SpecError("storage", f"{show(url)} is not of the form grpc://HOST:PORT")
    try:
        import grpc  # type: ignore[import-untyped]
    except ImportError as error:
        raise SpecError("storage", f"{url} needs the package grpcio: {first_line(error)}") from None
    from optuna.storages import GrpcStorageProxy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is said to be experimental
        storage = GrpcStorageProxy(host=parts[1], port=int(parts[2]))

    def is_away(error: Exception) -> bool:
        return isinstance(error, grpc.RpcError | ConnectionError)

    Patience(url, is_away, 0.0)(storage.wait_server_ready, timeout=min(patience_s, OPENING_S))
    return Connection(storage, Patience(url, is_away, patience_s), storage.close)
