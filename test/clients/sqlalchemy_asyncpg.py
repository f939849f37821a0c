"""SQLAlchemy 2.0 over asyncpg: the same checks, each in an event loop of its own."""

import asyncio
import functools

import sqlalchemy_checks
from report import run
from sqlalchemy.util.concurrency import greenlet_spawn


def in_a_loop(check):
    @functools.wraps(check)
    def checked(uri):
        return asyncio.run(greenlet_spawn(check, uri))

    return checked


if __name__ == "__main__":
    sqlalchemy_checks.use_driver("asyncpg")
    run([in_a_loop(check) for check in sqlalchemy_checks.CHECKS])
