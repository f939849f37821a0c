"""pytest plugin: one JSON line per test, written at once, so that a hang or a crash loses one test and not the run.

DRIVER_SUITE_OUTCOMES names the file. A test that the file has already is not run again: whoever starts pytest starts it
until the file has them all, and a test that was started and never ended counts as failed.
"""

import faulthandler
import json
import os

TEST_SECONDS_MAX = 45
PATH = os.environ["DRIVER_SUITE_OUTCOMES"]
ORDER = {"passed": 0, "skipped": 1, "failed": 2}
worst = {}


def write(test, outcome, why=""):
    with open(PATH, "a", encoding="utf-8") as file:
        file.write(json.dumps({"test": test, "outcome": outcome, "why": why}) + "\n")


def pytest_collection_modifyitems(items):
    seen = set()
    if os.path.exists(PATH):
        with open(PATH, encoding="utf-8") as file:
            seen = {json.loads(line)["test"] for line in file}
    items[:] = [item for item in items if item.nodeid not in seen]


def pytest_runtest_logstart(nodeid):
    worst[nodeid] = ("passed", "")
    write(nodeid, "started")
    # A watchdog of the interpreter: no signal reaches a driver that waits inside C.
    faulthandler.dump_traceback_later(TEST_SECONDS_MAX, exit=True)


def pytest_runtest_logreport(report):
    outcome = report.outcome
    if ORDER[outcome] > ORDER[worst[report.nodeid][0]]:
        worst[report.nodeid] = (outcome, report.longreprtext[-600:] if outcome == "failed" else "")


def pytest_runtest_logfinish(nodeid):
    faulthandler.cancel_dump_traceback_later()
    write(nodeid, *worst[nodeid])
