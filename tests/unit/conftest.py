"""The fixture `cloud`: the API in this process, on an empty database, with clients by persona.

SQLite, or PostgreSQL when STRATIFORM_TEST_DATABASE=postgresql.

A folder of tests chooses the rooms by overriding the fixture `services`. The database and the personas are made once
for each choice of rooms and copied for each test, which takes a few milliseconds.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from api.app import create_app
from api.config import settings
from api.db.base import Base
from api.db.session import Database, database, use_database
from api.identity import bootstrap
from api.identity import service as identity

sys.path.insert(0, str(Path(__file__).parent))

import postgres  # noqa: E402

ADMIN_PASSWORD = "the admin's password"
PASSWORD = "a persona's password"
PERSONAS = {
    # name: (role, project)
    "manager": ("manager", "demo"), "member": ("member", "demo"), "reader": ("reader", "demo"),
    "other": ("member", "other"),
}  # fmt: skip
TOML = """\
public_url = "https://cloud.test:8443"
secrets_file = "{folder}/secrets.toml"
policy_file = "{folder}/policy.yaml"
ca_file = "{folder}/ca.crt"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
log_dir = "{folder}/log"
[database]
url = "{url}"
[network]
physical_networks = {{ public = "br-ext" }}
"""
SECRETS = f"""\
admin_password = "{ADMIN_PASSWORD}"
demo_password = "demo"
metadata_secret = "metadata secret of the tests"
url_signing_key = "signing key of the tests"
"""


class Client:
    """Calls the API with a token (None: without), and answers with Flask's test responses (`.status_code`, `.json`)."""

    def __init__(self, flask: FlaskClient, token: str | None, headers: dict[str, str] | None = None) -> None:
        self._flask = flask
        self.token = token
        self.headers = headers or {}

    def with_headers(self, **headers: str) -> Client:
        """The same caller with more headers; `_` stands for `-`, as in `OpenStack_API_Version="compute 2.96"`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return Client(self._flask, self.token, self.headers | more)

    def request(self, method: str, path: str, **options: Any) -> TestResponse:
        """One call; options as those of `flask.testing.FlaskClient.open` (`json`, `data`, `headers`, ...)."""
        headers = {**self.headers, **dict(options.pop("headers", None) or {})}
        if self.token is not None:
            headers.setdefault("X-Auth-Token", self.token)
        return self._flask.open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> TestResponse:
        return self.request("HEAD", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.request("DELETE", path, **options)


@dataclass
class Cloud:
    """A cloud without hosts. Personas' tokens are of their project; `admin` is of the project `admin`."""

    app: Flask
    folder: Path
    project_id: str
    other_project_id: str
    admin_project_id: str
    admin_id: str
    tokens: dict[str, str]
    user_ids: dict[str, str]
    passwords: dict[str, str] = field(default_factory=dict)

    def client(self, token: str | None = None) -> Client:
        """A caller with any token."""
        return Client(self.app.test_client(), token)

    @property
    def anonymous(self) -> Client:
        """A caller without a token."""
        return self.client()

    @property
    def admin(self) -> Client:
        """The cloud's administrator, scoped to the project `admin`."""
        return self.client(self.tokens["admin"])

    @property
    def system_admin(self) -> Client:
        """The cloud's administrator, scoped to the system."""
        return self.client(self.tokens["system_admin"])

    @property
    def manager(self) -> Client:
        """A manager of the project `demo`."""
        return self.client(self.tokens["manager"])

    @property
    def member(self) -> Client:
        """A member of the project `demo`: the ordinary tenant."""
        return self.client(self.tokens["member"])

    @property
    def reader(self) -> Client:
        """A reader of the project `demo`."""
        return self.client(self.tokens["reader"])

    @property
    def other(self) -> Client:
        """A member of the project `other`: who must not see what `demo` has."""
        return self.client(self.tokens["other"])

    def login(
        self, user: str, password: str, scope: dict[str, Any] | str | None = None, *, domain: str = "default"
    ) -> TestResponse:
        """The answer of POST /v3/auth/tokens to a password."""
        given = {"name": user, "domain": {"id": domain}, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": given}}}
        if scope is not None:
            auth["scope"] = scope
        return self.anonymous.post("/identity/v3/auth/tokens", json={"auth": auth})

    def read(self) -> AbstractContextManager[Session]:
        """A read transaction on the database."""
        return database().read()

    def write(self) -> AbstractContextManager[Session]:
        """A write transaction on the database."""
        return database().write()


@pytest.fixture(scope="session")
def services() -> Sequence[str]:
    """The rooms that `cloud` has; override it in a folder's conftest (scope "session" or "package")."""
    return ("identity",)


class _Templates:
    """Clouds to copy, one for each choice of rooms."""

    def __init__(self, folder: Path, server: postgres.Server | None) -> None:
        self._folder = folder
        self._server = server
        self._made: dict[tuple[str, ...], Cloud] = {}
        self._databases: dict[tuple[str, ...], str] = {}

    def copy_database(self, services: Sequence[str]) -> str | None:
        """The name of a new PostgreSQL database like the template's; None on SQLite, where copying the folder does."""
        return self._server.make(self._databases[tuple(services)]) if self._server else None

    def url(self, database: str | None, folder: Path) -> str:
        """Where a cloud's tables are."""
        return self._server.url(database) if self._server and database else f"sqlite:///{folder}/stratiform.db"

    def drop_database(self, database: str | None) -> None:
        """Removes a copy."""
        if self._server and database:
            self._server.drop(database)

    def get(self, services: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Cloud:
        key = tuple(services)
        if key not in self._made:
            self._made[key] = self._make(key, monkeypatch)
        return self._made[key]

    def _make(self, services: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Cloud:
        folder = self._folder / "-".join(services)
        folder.mkdir()
        app = create_app(services)
        database_name = self._databases[services] = self._server.make() if self._server else ""
        db = _settle(folder, self.url(database_name, folder), monkeypatch)
        Base.metadata.create_all(db.engine)
        bootstrap.run(db)
        cloud = Cloud(app, folder, "", "", "", "", {}, {})
        _make_personas(cloud)
        identity.close()
        db.dispose()
        return cloud


def _settle(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Makes `folder` the place of this process's cloud."""
    for name in ("state", "run", "log"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "secrets.toml").write_text(SECRETS)
    (folder / "stratiform.toml").write_text(TOML.format(folder=folder, url=url))
    monkeypatch.setenv("STRATIFORM_CONFIG", str(folder / "stratiform.toml"))
    settings.cache_clear()
    db = Database(settings().database_url)
    use_database(db)
    return db


def _make_personas(cloud: Cloud) -> None:
    from api.identity.models import PROJECT, USER, Assignment, Project, Role, User
    from api.identity.passwords import hash_password

    hashed = hash_password(PASSWORD)
    with cloud.write() as session:
        roles = {role.name: role.id for role in session.query(Role)}
        projects = {}
        for name in dict.fromkeys(project for _, project in PERSONAS.values()):
            project = Project(name=name, domain_id="default", parent_id="default")
            session.add(project)
            session.flush()
            projects[name] = project.id
        for name, (role, project_name) in PERSONAS.items():
            user = User(name=name, domain_id="default", password_hash=hashed)
            session.add(user)
            session.flush()
            cloud.user_ids[name] = user.id
            session.add(Assignment(actor_type=USER, actor_id=user.id, target_type=PROJECT,
                                   target_id=projects[project_name], role_id=roles[role]))  # fmt: skip
    cloud.project_id, cloud.other_project_id = projects["demo"], projects["other"]
    for name, (_, project_name) in PERSONAS.items():
        cloud.passwords[name] = PASSWORD
        answer = cloud.login(name, PASSWORD, {"project": {"id": projects[project_name]}})
        cloud.tokens[name] = answer.headers["X-Subject-Token"]
    cloud.passwords["admin"] = ADMIN_PASSWORD
    answer = cloud.login("admin", ADMIN_PASSWORD, {"project": {"name": "admin", "domain": {"id": "default"}}})
    cloud.tokens["admin"] = answer.headers["X-Subject-Token"]
    cloud.admin_id = answer.json["token"]["user"]["id"]
    cloud.user_ids["admin"] = cloud.admin_id
    cloud.admin_project_id = answer.json["token"]["project"]["id"]
    answer = cloud.login("admin", ADMIN_PASSWORD, {"system": {"all": True}})
    cloud.tokens["system_admin"] = answer.headers["X-Subject-Token"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL server for the whole run."""
    server = postgres.Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _cloud_templates(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _Templates:
    server = request.getfixturevalue("postgres_server") if postgres.chosen() else None
    return _Templates(tmp_path_factory.mktemp("clouds"), server)


@pytest.fixture
def cloud(
    services: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _cloud_templates: _Templates
) -> Iterator[Cloud]:
    """A cloud of its own for one test."""
    template = _cloud_templates.get(services, monkeypatch)
    folder = tmp_path / "cloud"
    shutil.copytree(template.folder, folder)
    copied = _cloud_templates.copy_database(services)
    db = _settle(folder, _cloud_templates.url(copied, folder), monkeypatch)
    yield Cloud(
        template.app, folder, template.project_id, template.other_project_id, template.admin_project_id,
        template.admin_id, dict(template.tokens), dict(template.user_ids), dict(template.passwords),
    )  # fmt: skip
    identity.close()
    db.dispose()
    settings.cache_clear()
    _cloud_templates.drop_database(copied)
