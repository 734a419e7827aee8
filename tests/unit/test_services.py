"""What each program loads: memory at rest depends on it (docs/benchmarks.md, "Memory and CPU at rest")."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import api

ENGINE = "from api.services import load_services; from api.engine import main; load_services()"
API = "from api.app import create_app; create_app()"


def loaded(code: str, folder: Path) -> set[str]:
    """The modules that a new interpreter has after `code`."""
    config = folder / "stratiform.toml"
    config.write_text(f'policy_file = "{folder}/policy.yaml"\n[database]\nurl = "sqlite://"\n')
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        env={"STRATIFORM_CONFIG": str(config), "PYTHONPATH": str(Path(api.__file__).parents[1])},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_engine_loads_no_http(tmp_path: Path) -> None:
    modules = loaded(ENGINE, tmp_path)
    assert "api.compute.actions" in modules
    assert not modules & {"flask", "oslo_policy", "oslo_config", "jsonschema_rs", "alembic", "requests", "argon2"}


def test_identity_without_http_loads_no_cryptography(tmp_path: Path) -> None:
    modules = loaded("import api.identity.service", tmp_path)
    assert not modules & {"flask", "werkzeug", "oslo_policy", "jsonschema_rs", "argon2", "bcrypt", "cryptography"}


@pytest.mark.parametrize(
    ("override", "expected"), [("", False), ('"identity:list_users": "http://policy.test/"\n', True)]
)
def test_requests_is_for_http_checks(tmp_path: Path, override: str, expected: bool) -> None:
    (tmp_path / "policy.yaml").write_text(override)
    modules = loaded(f"{API}\nfrom api.http import policy; policy.load()", tmp_path)
    assert ("requests" in modules) is expected


def test_warming_up_compiles_every_schema_and_connects_nowhere(tmp_path: Path) -> None:
    check = """
import sqlalchemy.pool
connections = []
sqlalchemy.event.listen(sqlalchemy.pool.Pool, "connect", lambda *_: connections.append(1))
import api.wsgi
from api.http import validation
assert validation._schemas and all("_validator" in vars(schema) for schema in validation._schemas)
assert not connections
"""
    assert "sqlalchemy.dialects.sqlite.pysqlite" in loaded(check, tmp_path)
