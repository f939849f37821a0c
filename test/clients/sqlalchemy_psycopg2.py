"""psycopg2 and SQLAlchemy on top of it, 1.4 or 2.0 by the environment it runs in: Superset's way in."""

import psycopg2_checks
import sqlalchemy_checks
from report import run

if __name__ == "__main__":
    run(psycopg2_checks.CHECKS + sqlalchemy_checks.CHECKS)
