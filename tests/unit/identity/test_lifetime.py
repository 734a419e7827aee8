"""When tokens stop to hold, scopes, application credentials, keys, lockout, bootstrap."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from sqlalchemy import update

from api.config import Settings, settings
from api.db.session import database
from api.identity import bootstrap, fernet, tokens
from api.identity.models import LoginFailure, User
from api.identity.payload import InvalidPayload, Payload, new_audit_id, unpack
from tests.unit.identity.test_resources import V3, make

TOKENS = f"{V3}/auth/tokens"
REPO = Path(__file__).resolve().parents[3]


def authenticate(cloud: Any, methods: dict[str, Any], scope: Any = None) -> Any:
    auth: dict[str, Any] = {"identity": {"methods": list(methods), **methods}}
    if scope is not None:
        auth["scope"] = scope
    return cloud.anonymous.post(TOKENS, json={"auth": auth})


def test_scopes(cloud: Any) -> None:
    password = cloud.passwords["admin"]
    unscoped = cloud.login("admin", password, "unscoped").json["token"]
    assert not {"project", "domain", "system", "roles", "catalog"} & unscoped.keys()
    system = cloud.login("admin", password, {"system": {"all": True}}).json["token"]
    assert (system["system"], "catalog" in system) == ({"all": True}, True)
    by_name = {"project": {"name": "admin", "domain": {"name": "Default"}}}
    assert cloud.login("admin", password, by_name).json["token"]["project"]["id"] == cloud.admin_project_id
    domain = cloud.login("admin", password, {"domain": {"name": "Default"}}).json["token"]
    assert domain["domain"] == {"id": "default", "name": "Default"}
    for scope in ({"project": {"id": "gone"}}, {"domain": {"id": "gone"}}, {"project": {"id": "default"}}):
        assert cloud.login("admin", password, scope).status_code == 401
    assert cloud.login("member", cloud.passwords["member"], {"system": {"all": True}}).status_code == 401
    for wrong in ({"project": {}}, {"system": {"all": False}}, {"project": {"id": "x"}, "domain": {"id": "x"}}, 7):
        assert cloud.login("admin", password, wrong).status_code == 400
    assert cloud.login("admin", "x" * 5000, "unscoped").status_code == 401


def test_the_default_project_is_the_default_scope(cloud: Any) -> None:
    user, project_id = cloud.user_ids["member"], cloud.project_id
    assert "project" not in cloud.login("member", cloud.passwords["member"]).json["token"]
    change = {"user": {"default_project_id": project_id}}
    assert cloud.admin.patch(f"{V3}/users/{user}", json=change).status_code == 200
    assert cloud.login("member", cloud.passwords["member"]).json["token"]["project"]["id"] == project_id
    assert "project" not in cloud.login("member", cloud.passwords["member"], "unscoped").json["token"]


def test_a_token_gives_another_that_lives_no_longer(cloud: Any) -> None:
    first = cloud.login("admin", cloud.passwords["admin"], "unscoped")
    given = {"token": {"id": first.headers["X-Subject-Token"]}}
    second = authenticate(cloud, given, {"project": {"id": cloud.admin_project_id}}).json["token"]
    assert second["expires_at"] == first.json["token"]["expires_at"]
    assert second["methods"] == ["password", "token"]
    assert second["audit_ids"][1] == first.json["token"]["audit_ids"][0]
    assert authenticate(cloud, {"token": {"id": "gAAAAA-nonsense"}}).status_code == 401


CHANGES = {
    "user disabled": ("users/{user}", {"user": {"enabled": False}}),
    "password changed": ("users/{user}", {"user": {"password": "another"}}),
    "project disabled": ("projects/{project}", {"project": {"enabled": False}}),
    "domain disabled": ("domains/{domain}", {"domain": {"enabled": False}}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_ends_tokens_for_good(cloud: Any, what: str) -> None:
    domain = make(cloud.admin, "domain", name="acme")["id"]
    project = make(cloud.admin, "project", name="p", domain_id=domain)["id"]
    user = make(cloud.admin, "user", name="ann", password="secret", domain_id=domain)["id"]
    role = cloud.admin.get(f"{V3}/roles?name=reader").json["roles"][0]["id"]
    cloud.admin.put(f"{V3}/projects/{project}/users/{user}/roles/{role}")
    login = cloud.login("ann", "secret", {"project": {"id": project}}, domain=domain)
    client = cloud.client(login.headers["X-Subject-Token"])
    assert client.get(f"{V3}/auth/projects").status_code == 200
    path, change = CHANGES[what]
    path = f"{V3}/" + path.format(user=user, project=project, domain=domain)
    assert cloud.admin.patch(path, json=change).status_code == 200
    assert client.get(f"{V3}/auth/projects").status_code == 401
    if "disabled" in what:
        assert cloud.login("ann", "secret", {"project": {"id": project}}, domain=domain).status_code == 401
        cloud.admin.patch(path, json={next(iter(change)): {"enabled": True}})
        assert client.get(f"{V3}/auth/projects").status_code == 401, "an old token came back to life"
        assert cloud.login("ann", "secret", {"project": {"id": project}}, domain=domain).status_code == 201


@pytest.mark.parametrize("path", ["users/{user_ids[member]}", "projects/{project_id}"])
def test_deleting_ends_tokens(cloud: Any, path: str) -> None:
    path = f"{V3}/" + path.format(user_ids=cloud.user_ids, project_id=cloud.project_id)
    assert cloud.member.get(f"{V3}/auth/catalog").status_code == 200
    assert cloud.admin.delete(path).status_code == 204
    assert cloud.member.get(f"{V3}/auth/catalog").status_code == 401


def test_users_change_their_password(cloud: Any) -> None:
    path = f"{V3}/users/{cloud.user_ids['member']}/password"
    wrong = {"user": {"original_password": "wrong", "password": "new"}}
    assert cloud.member.post(path, json=wrong).status_code == 401
    right = {"user": {"original_password": cloud.passwords["member"], "password": "new {{ one }}\n🚀"}}
    assert cloud.anonymous.post(path, json=right).status_code == 204
    assert cloud.member.get(f"{V3}/auth/catalog").status_code == 401
    assert cloud.login("member", cloud.passwords["member"]).status_code == 401
    assert cloud.login("member", "new {{ one }}\n🚀").status_code == 201


def test_a_locked_password_and_a_disabled_user_stay_as_they_are(cloud: Any) -> None:
    user = f"{V3}/users/{cloud.user_ids['member']}"
    change = {"user": {"original_password": cloud.passwords["member"], "password": "new"}}
    cloud.admin.patch(user, json={"user": {"options": {"lock_password": True}}})
    assert cloud.member.post(f"{user}/password", json=change).status_code == 403
    cloud.admin.patch(user, json={"user": {"options": {"lock_password": None}, "enabled": False}})
    assert cloud.anonymous.post(f"{user}/password", json=change).status_code == 401
    several_factors = {"user": {"options": {"multi_factor_auth_enabled": True}}}
    assert cloud.admin.patch(user, json=several_factors).status_code == 400


def test_another_process_sees_a_revocation_at_once(cloud: Any) -> None:
    """The worker that answers must not be the one that revoked."""
    assert tokens.validate(cloud.tokens["member"]).body["user"]["name"] == "member"
    script = (
        "import sys\nfrom api.identity import tokens\nfrom api.db.session import database\n"
        "with database().write() as session:\n"
        "    tokens.revoke(session, tokens.validate(sys.stdin.read()).payload)\n"
    )
    subprocess.run([sys.executable, "-c", script], input=cloud.tokens["member"].encode(), check=True, cwd=REPO)
    with pytest.raises(tokens.InvalidToken, match="revoked"):
        tokens.validate(cloud.tokens["member"])
    assert tokens.validate(cloud.tokens["reader"])


def test_rotated_keys_still_read_tokens_until_they_are_forgotten(cloud: Any) -> None:
    token = cloud.login("member", cloud.passwords["member"]).headers["X-Subject-Token"]
    assert sorted(path.name for path in fernet.folder().iterdir()) == ["0", "1"]
    assert {path.stat().st_mode & 0o777 for path in fernet.folder().iterdir()} == {0o600}
    for expected in (["0", "1", "2"], ["0", "2", "3"]):
        time.sleep(0.01)  # a folder's time has the kernel's tick as its grain
        assert fernet.decrypt(token) is not None
        assert fernet.rotate()
        assert sorted(path.name for path in fernet.folder().iterdir()) == expected
    assert fernet.decrypt(token) is None
    fresh = cloud.login("member", cloud.passwords["member"]).headers["X-Subject-Token"]
    assert cloud.client(fresh).get(f"{V3}/auth/projects").status_code == 200
    assert not fernet.set_up()


def test_payloads_keep_what_they_are_given() -> None:
    for user_id in ("a" * 32, "default", "ü" * 60):
        payload = Payload(user_id, ("password", "token"), "project", "f" * 32, None, 1_700_000_000_123_456,
                          1_700_003_600_000_000, (new_audit_id(), new_audit_id()))  # fmt: skip
        assert unpack(payload.pack()) == payload
    for damaged in (b"", b"\x09\x01\x00", payload.pack()[:20]):
        with pytest.raises(InvalidPayload):
            unpack(damaged)


def test_expired_tokens_do_not_hold(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cloud.member.get(f"{V3}/auth/catalog").status_code == 200
    later = time.time_ns() + 3601 * 10**9
    monkeypatch.setattr(tokens.time, "time_ns", lambda: later)  # type: ignore[attr-defined]
    assert cloud.member.get(f"{V3}/auth/catalog").status_code == 401


def test_too_many_failures_close_the_account_for_a_while(cloud: Any) -> None:
    for _ in range(settings().identity.lockout_failures):
        assert cloud.login("member", "wrong").status_code == 401
    assert cloud.login("member", cloud.passwords["member"]).status_code == 401
    assert cloud.login("reader", cloud.passwords["reader"]).status_code == 201
    with database().write() as session:
        failure = session.get_one(LoginFailure, cloud.user_ids["member"])
        failure.last_at = failure.last_at.replace(year=2020)
    assert cloud.login("member", cloud.passwords["member"]).status_code == 201
    with database().read() as session:
        assert session.get(LoginFailure, cloud.user_ids["member"]) is None


def test_bcrypt_hashes_are_verified_and_replaced(cloud: Any) -> None:
    old = bcrypt.hashpw(b"from elsewhere", bcrypt.gensalt(4)).decode()
    with database().write() as session:
        session.execute(update(User).where(User.id == cloud.user_ids["member"]).values(password_hash=old))
    assert cloud.login("member", "wrong").status_code == 401
    assert cloud.login("member", "from elsewhere").status_code == 201
    with database().read() as session:
        assert (session.get_one(User, cloud.user_ids["member"]).password_hash or "").startswith("$argon2id$")
    assert cloud.login("member", "from elsewhere").status_code == 201


def test_application_credentials(cloud: Any) -> None:
    path = f"{V3}/users/{cloud.user_ids['member']}/application_credentials"
    body = {"name": "ci", "roles": [{"name": "reader"}], "description": "{{ x }}"}
    made = cloud.member.post(path, json={"application_credential": body})
    assert made.status_code == 201
    credential = made.json["application_credential"]
    assert [role["name"] for role in credential["roles"]] == ["reader"]
    assert "secret" not in cloud.member.get(f"{path}/{credential['id']}").json["application_credential"]
    given = {"application_credential": {"id": credential["id"], "secret": credential["secret"]}}
    answer = authenticate(cloud, given)
    token = answer.json["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["project"]["id"] == cloud.project_id
    assert token["application_credential"] == {"id": credential["id"], "name": "ci", "restricted": True}
    by_name = {"name": "ci", "secret": credential["secret"], "user": {"id": cloud.user_ids["member"]}}
    assert authenticate(cloud, {"application_credential": by_name}).status_code == 201
    assert authenticate(cloud, {"application_credential": by_name | {"secret": "wrong"}}).status_code == 401
    client = cloud.client(answer.headers["X-Subject-Token"])
    assert client.get(f"{V3}/auth/projects").status_code == 200
    assert client.post(path, json={"application_credential": {"name": "more"}}).status_code == 403
    assert authenticate(cloud, {"token": {"id": client.token}}).status_code == 403
    assert cloud.other.get(path).status_code == 403
    assert cloud.member.post(path, json={"application_credential": body}).status_code == 409
    for wrong in ({"roles": [{"name": "admin"}]}, {"expires_at": "yesterday"}, {"expires_at": "2020-01-01T00:00:00"},
                  {"access_rules": [{"path": "/x"}]}):  # fmt: skip
        refused = cloud.member.post(path, json={"application_credential": {"name": "x", **wrong}})
        assert refused.status_code == 400, wrong
    assert cloud.member.delete(f"{path}/{credential['id']}").status_code == 204
    assert client.get(f"{V3}/auth/projects").status_code == 401
    assert authenticate(cloud, given).status_code == 401


def test_bootstrap_repeats_without_change_and_follows_the_settings(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = database()
    assert bootstrap.run(db) is False
    text = (cloud.folder / "stratiform.toml").read_text()
    (cloud.folder / "stratiform.toml").write_text(text.replace("cloud.test:8443", "new.test"))
    (cloud.folder / "secrets.toml").write_text(
        (cloud.folder / "secrets.toml").read_text().replace(cloud.passwords["admin"], "rotated"))  # fmt: skip
    settings.cache_clear()
    assert bootstrap.run(db) is True
    assert bootstrap.run(db) is False
    assert cloud.admin.get(f"{V3}/projects").status_code == 401, "the old password's tokens still hold"
    catalog = cloud.login("admin", "rotated", {"system": {"all": True}}).json["token"]["catalog"]
    assert {row["url"] for service in catalog for row in service["endpoints"]} == {
        f"https://new.test{path}" for _, _, path in bootstrap.SERVICES}  # fmt: skip
    assert isinstance(settings(), Settings)


def test_secrets_are_not_logged(cloud: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    answer = cloud.login("member", cloud.passwords["member"])
    cloud.login("member", "a wrong one")
    cloud.client(answer.headers["X-Subject-Token"]).get(f"{V3}/auth/projects")
    cloud.client("not-a-token").get(f"{V3}/auth/projects")
    assert "refused" in caplog.text
    for secret in (cloud.passwords["member"], "a wrong one", answer.headers["X-Subject-Token"], "not-a-token"):
        assert secret not in caplog.text
