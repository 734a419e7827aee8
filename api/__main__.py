"""The control plane's command line: `python -m api <command>`; see docs/contracts.md."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from api.config import ConfigError, settings
from api.db.backup import BackupError
from api.db.session import database
from api.services import load_services


def _db_upgrade(_options: argparse.Namespace) -> None:
    from api.db import migrate  # Alembic is no load for the engine to carry

    print(json.dumps({"changed": migrate.upgrade(settings().database_url)}))


def _db_save(options: argparse.Namespace) -> None:
    from api.db import backup

    backup.save(settings().database_url, options.file)


def _db_load(options: argparse.Namespace) -> None:
    from api.db import backup

    backup.load(settings().database_url, options.file)


def _bootstrap(_options: argparse.Namespace) -> None:
    import api.identity.bootstrap as bootstrap

    load_services()
    print(json.dumps({"changed": bootstrap.run(database())}))


def _fernet_rotate(_options: argparse.Namespace) -> None:
    from api.identity import fernet

    print(json.dumps({"changed": fernet.rotate()}))


def _engine(_options: argparse.Namespace) -> None:
    from api.engine import main as engine_main

    load_services()
    engine_main.run()


def _check_config(_options: argparse.Namespace) -> None:
    for name in ("admin_password", "metadata_secret", "url_signing_key"):
        settings().secret(name)
    print(json.dumps({"changed": False}))


COMMANDS = {
    "db-upgrade": (_db_upgrade, "bring the database's tables to this version"),
    "db-save": (_db_save, "copy the database to FILE while it is in use"),
    "db-load": (_db_load, "make the database what the copy FILE says; the control plane must be stopped"),
    "bootstrap": (_bootstrap, "make the admin user, the roles and the service catalog; repeating changes nothing"),
    "fernet-rotate": (_fernet_rotate, "make a new token key the primary one and forget the oldest"),
    "engine": (_engine, "run the job engine in the foreground"),
    "check-config": (_check_config, "read the configuration and the secrets"),
}


def main() -> int:
    """Runs one command; 2 when the configuration is wrong."""
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in ("db-save", "db-load"):
            command.add_argument("file", type=Path, metavar="FILE")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        COMMANDS[options.command][0](options)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BackupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
