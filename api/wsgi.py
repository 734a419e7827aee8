"""The WSGI application that uWSGI loads before it forks its workers."""

import gc
import logging

from api.app import create_app

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
application = create_app()
gc.collect()
gc.freeze()  # what all requests share is neither scanned again nor copied in the forks
gc.set_threshold(50_000, 20, 20)
