"""SQLAlchemy 2.0 over psycopg 3: the extended protocol, and statements prepared from the sixth run on."""

import sqlalchemy_checks
from report import run

if __name__ == "__main__":
    sqlalchemy_checks.use_driver("psycopg")
    run(sqlalchemy_checks.CHECKS)
