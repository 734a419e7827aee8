"""A real API on loopback, with identity alone, for the modules to speak to."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from api.app import create_app
from api.config import settings
from api.db.base import Base
from api.db.session import Database, use_database
from api.identity import bootstrap
from api.identity import service as identity

from ..hosting import HOST_PYTHON

PASSWORD = "the admin's password"


@pytest.fixture(scope="session")
def api_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """An API with a bootstrapped database."""
    folder: Path = tmp_path_factory.mktemp("identity")
    (folder / "state").mkdir()
    (folder / "secrets.toml").write_text(f'admin_password = "{PASSWORD}"\n')
    (folder / "stratiform.toml").write_text(
        f'secrets_file = "{folder}/secrets.toml"\npolicy_file = "{folder}/policy.yaml"\nstate_dir = "{folder}/state"\n'
        f'[database]\nurl = "sqlite:///{folder}/stratiform.db"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATIFORM_CONFIG", str(folder / "stratiform.toml"))
        settings.cache_clear()
        app = create_app(("identity",))
        db = Database(settings().database_url)
        use_database(db)
        Base.metadata.create_all(db.engine)
        bootstrap.run(db)
        yield app
        identity.close()
        db.dispose()
    settings.cache_clear()


@pytest.fixture(scope="session")
def admin_auth(api_app: Flask) -> Iterator[dict[str, Any]]:
    """The options `auth` of an administrator of a running API."""
    server = make_server("127.0.0.1", 0, api_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {
        "auth_url": f"http://127.0.0.1:{server.server_port}/identity", "username": "admin", "password": PASSWORD,
        "project_name": "admin",
    }  # fmt: skip
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def run_module(host_tree: Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs a module on the host's Python, forked off a process that has them loaded (the resident worker has not)."""
    script = Path(__file__).with_name("forking.py")
    with subprocess.Popen(
        [HOST_PYTHON, "-I", str(script), str(host_tree)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        lines_in, lines_out = process.stdin, process.stdout

        def run(name: str, args: dict[str, Any], check: bool = False, diff: bool = False) -> dict[str, Any]:
            ours = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_module_name": name}
            named = {key: os.environ[key] for key in ("OS_CLIENT_CONFIG_FILE",) if key in os.environ}
            call = {"module": name, "args": {**args, **ours}, "environment": named}
            lines_in.write(json.dumps(call) + "\n")
            lines_in.flush()
            answer = ""
            while not answer.startswith("{"):
                line = lines_out.readline()
                assert line, f"{name} ended the process"
                answer = line.strip() or answer
            while lines_out.readline().strip():
                pass
            result: dict[str, Any] = json.loads(answer)
            return result

        yield run
        lines_in.close()
