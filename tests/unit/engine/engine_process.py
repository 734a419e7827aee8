"""Runs the engine with the tests' fake service: `python engine_process.py`, configured by STRATIFORM_CONFIG."""

import logging

import engine_fake  # noqa: F401 (registers its actions)

from api.engine import main

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    main.run()
