"""The identity modules against a real API: check mode tells the truth, a second run changes nothing."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from werkzeug.serving import make_server

from .conftest import PASSWORD

Run = Callable[..., dict[str, Any]]
HOSTILE = "{{ lookup('pipe','touch /tmp/x') }} \"quoted\"\n🚀"


@pytest.fixture
def run(run_module: Run, admin_auth: dict[str, Any]) -> Run:
    def call(noun: str, /, *, check: bool = False, **args: Any) -> dict[str, Any]:
        return run_module(f"identity_{noun}", {"auth": admin_auth, **args}, check=check, diff=True)

    return call


def prove(run: Run, noun: str, /, **args: Any) -> dict[str, Any]:
    """Check mode and the real run show the same difference; then nothing is left to do."""
    would = run(noun, check=True, **args)
    assert would.get("changed") is True, would
    did = run(noun, **args)
    assert did.get("changed") is True, did
    assert did["diff"] == would["diff"]
    again = run(noun, **args)
    assert again.get("changed") is False, again
    assert run(noun, check=True, **args)["changed"] is False
    return did


LIVES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "domain": ({"name": "acme", "description": HOSTILE}, {"description": "new", "enabled": False}),
    "project": ({"name": "web", "tags": ["b", "a"], "description": HOSTILE}, {"tags": ["c"], "enabled": False}),
    "user": ({"name": "ann", "password": HOSTILE, "email": "a@example.org"}, {"email": "b@example.org"}),
    "role": ({"name": "auditor", "implies": ["reader"]}, {"implies": ["member"], "description": HOSTILE}),
    "service": ({"name": "designate", "type": "dns"}, {"description": HOSTILE, "enabled": False}),
}


@pytest.mark.parametrize("name", LIVES)
def test_the_life_of_a_resource(run: Run, name: str) -> None:
    args, change = LIVES[name]
    made = prove(run, name, **args)
    changed = prove(run, name, **{**args, **change})
    assert changed[name]["id"] == made[name]["id"]
    shown = {key: value for key, value in change.items() if key != "implies"}
    assert changed[name].items() >= shown.items()
    by_id = run(name, **{**args, **change, "name": made[name]["id"]})
    assert by_id["changed"] is False, by_id
    key = {item: args[item] for item in ("name", "type") if item in args}
    prove(run, name, **key, state="absent")


def test_a_password_is_compared_and_never_shown(run: Run) -> None:
    made = prove(run, "user", name="bob", password="first secret")
    assert "first secret" not in json.dumps(made)
    assert run("user", name="bob", password="second secret", update_password="on_create")["changed"] is False
    changed = prove(run, "user", name="bob", password="second secret")
    assert "second secret" not in json.dumps(changed)
    prove(run, "user", name="bob", enabled=False, password="second secret")
    assert run("user", name="bob", password="third secret")["changed"] is False
    prove(run, "user", name="bob", password="third secret", enabled=True)
    prove(run, "user", name="bob", state="absent")


def test_roles_are_given_and_taken(run: Run) -> None:
    run("project", name="top")
    run("user", name="carl")
    for place in ({"project": "top"}, {"domain": "default"}, {"system": True}, {"project": "top", "inherited": True}):
        prove(run, "role_assignment", user="carl", role="member", **place)
        prove(run, "role_assignment", user="carl", role="member", **place, state="absent")
    refused = run("role_assignment", user="nobody", role="member", project="top")
    assert refused["failed"]
    assert "nobody" in refused["msg"]
    assert run("role_assignment", user="carl", role="member")["failed"]


def test_endpoints_follow_their_url(run: Run) -> None:
    run("service", name="swift", type="object-store")
    where = {"service": "swift", "interface": "public", "region": "RegionOne"}
    assert "url" in run("endpoint", **where)["msg"]
    prove(run, "endpoint", **where, url="https://a.test/v1/AUTH_$(project_id)s")
    changed = prove(run, "endpoint", **where, url="https://b.test/v1")
    assert changed["diff"]["before"] == {"url": "https://a.test/v1/AUTH_$(project_id)s"}
    prove(run, "endpoint", **where, state="absent")
    prove(run, "service", name="swift", type="object-store", state="absent")


def test_a_project_below_another_in_a_domain(run: Run) -> None:
    domain = prove(run, "domain", name="deep")["domain"]
    top = prove(run, "project", name="one", domain="deep")["project"]
    below = prove(run, "project", name="two", domain="deep", parent="one")["project"]
    assert (below["parent_id"], below["domain_id"]) == (top["id"], domain["id"])
    refused = run("project", name="one", domain="deep", state="absent")
    assert refused["failed"]
    assert refused["status"] == 403
    prove(run, "domain", name="deep", state="absent")


def test_clouds_yaml_and_what_is_wrong_with_it(
    run_module: Run, admin_auth: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clouds.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    file.write_text(json.dumps({"clouds": {"here": {"auth": admin_auth}}}))
    assert run_module("identity_project", {"cloud": "here", "name": "admin"})["changed"] is False
    assert "'gone'" in run_module("identity_project", {"cloud": "gone", "name": "admin"})["msg"]
    assert "auth_url" in run_module("identity_project", {"name": "admin"})["msg"]
    wrong = {"auth": {**admin_auth, "password": "a wrong one"}, "name": "admin"}
    refused = run_module("identity_project", wrong)
    assert refused["status"] == 401
    assert "a wrong one" not in json.dumps(refused)
    nobody = {"auth": {**admin_auth, "auth_url": "http://127.0.0.1:9/identity"}, "name": "admin"}
    assert "does not answer" in run_module("identity_project", nobody)["msg"]
    file.write_text("clouds: [secret")
    assert "secret" not in run_module("identity_project", {"cloud": "here", "name": "admin"})["msg"]


def certificate_for_loopback(folder: Path) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (folder / "tls.crt").write_bytes(certificate.public_bytes(pem))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.key").write_bytes(key.private_bytes(pem, *plain))
    return folder / "tls.crt", folder / "tls.key"


def test_the_apis_certificate_is_checked(run_module: Run, api_app: Flask, tmp_path: Path) -> None:
    certificate, key = certificate_for_loopback(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = make_server("127.0.0.1", 0, api_app, threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        auth = {"auth_url": f"https://127.0.0.1:{server.server_port}/identity", "username": "admin",
                "password": PASSWORD, "project_name": "admin"}  # fmt: skip
        args = {"auth": auth, "name": "admin"}
        assert "certificate verify failed" in run_module("identity_project", args)["msg"]
        assert run_module("identity_project", {**args, "ca_cert": str(certificate)})["changed"] is False
        assert run_module("identity_project", {**args, "validate_certs": False})["changed"] is False
        assert "no certificates" in run_module("identity_project", {**args, "ca_cert": str(key)})["msg"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
