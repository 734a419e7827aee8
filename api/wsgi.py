"""The WSGI application that uWSGI loads before it forks its workers."""

import gc
import importlib
import logging
import sys

from flask import Flask
from sqlalchemy.orm import configure_mappers

from api.app import create_app
from api.config import settings
from api.db.session import Database
from api.http import policy, validation


def warm_up(app: Flask) -> None:
    """Does once what each worker would do at its first requests, so that they share the memory; opens no connection."""
    configure_mappers()
    policy.load()
    validation.compile_all()
    app.url_map.update()
    Database(settings().database_url).dispose()  # loads the database's dialect


logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
application = create_app()
warm_up(application)
gc.collect()
gc.freeze()  # what all requests share is neither scanned again nor copied in the forks
gc.set_threshold(50_000, 20, 20)


def serve_streams() -> None:
    """In the streams process (uWSGI's last worker): begins to serve event streams beside it."""
    uwsgi = importlib.import_module("uwsgi")
    if uwsgi.worker_id() != uwsgi.numproc:
        return
    from api.operations.streams import Streams  # the API's own workers do without an event loop

    streams = Streams(application, settings().run_dir / "events.sock")
    streams.start()
    uwsgi.atexit = streams.stop  # type: ignore[attr-defined]


if "uwsgi" in sys.modules:  # uWSGI itself makes this module, nobody else has it
    importlib.import_module("uwsgi").post_fork_hook = serve_streams  # type: ignore[attr-defined]
