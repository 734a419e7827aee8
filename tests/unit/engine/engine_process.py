"""Runs the engine with the tests' fake service: `python engine_process.py`, configured by STRATIFORM_CONFIG."""

import logging
import os
import signal

import engine_fake  # noqa: F401 (registers its actions)

from api.engine import main, processes

if __name__ == "__main__":
    processes.end_with_parent(signal.SIGKILL, os.getppid())  # no engine outlives a test run that was killed
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    main.run()
