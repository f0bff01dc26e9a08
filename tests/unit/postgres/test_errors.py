"""Errors of asyncpg become outages or refusals."""

import ssl

import asyncpg
import pytest
from marketstream.postgres.errors import StoreRefusedError, StoreUnavailableError, store_error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError("refused"), "PostgreSQL is unavailable: refused"),
        (TimeoutError(), "PostgreSQL is unavailable: no answer in time"),
        (asyncpg.AdminShutdownError("terminating connection"), "PostgreSQL is unavailable: terminating connection"),
        (asyncpg.DeadlockDetectedError("deadlock"), "PostgreSQL is unavailable: deadlock"),
        (asyncpg.UndefinedTableError("no progress"), "PostgreSQL has no tables yet"),
        (asyncpg.ReadOnlySQLTransactionError("standby"), "PostgreSQL is read-only, like a standby: standby"),
    ],
)
def test_an_error_that_may_pass_is_an_outage(error: Exception, text: str) -> None:
    for is_start in (False, True):
        found = store_error(error, is_start=is_start)
        assert isinstance(found, StoreUnavailableError)
        assert text in str(found)


@pytest.mark.parametrize("error", [asyncpg.InvalidPasswordError("wrong"), asyncpg.InvalidCatalogNameError("missing")])
def test_a_refused_login_is_a_refusal_at_the_start_only(error: Exception) -> None:
    assert isinstance(store_error(error, is_start=True), StoreRefusedError)
    assert isinstance(store_error(error), StoreUnavailableError)
    assert str(store_error(error)) == f"PostgreSQL refuses DATABASE_URL: {error}"


def test_a_faulty_statement_is_a_refusal_with_its_code() -> None:
    found = store_error(asyncpg.DivisionByZeroError("division by zero"))
    assert isinstance(found, StoreRefusedError)
    assert str(found) == "PostgreSQL refuses a statement (22012): division by zero"


def test_an_error_with_details_is_one_line() -> None:
    fields = {"C": "53100", "M": "could not extend file", "D": "No space left.", "H": "Check free\ndisk space."}
    error = asyncpg.PostgresError.new(fields)
    assert isinstance(error, asyncpg.DiskFullError)
    found = store_error(error)
    assert isinstance(found, StoreUnavailableError)
    text = "could not extend file DETAIL: No space left. HINT: Check free disk space."
    assert str(found) == f"PostgreSQL is unavailable: {text}"


def test_an_unknown_certificate_is_a_refusal_at_the_start_only() -> None:
    error = ssl.SSLCertVerificationError("self-signed certificate")
    assert isinstance(store_error(error, is_start=True), StoreRefusedError)
    assert isinstance(store_error(error), StoreUnavailableError)
