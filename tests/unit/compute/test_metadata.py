"""What guests learn of themselves, by the metadata agents' signed route and by config drive."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from .conftest import Boot, Engine, show

USER_DATA = base64.b64encode(b"#!/bin/sh\necho {{ hostile }}\n").decode()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPnK4biqjPYTayOr0VtUfYtigm2Z+WVZfmds7BSC7gAl me@here"


def ask(cloud: Any, secret: str = "metadata secret of the tests", **query: str) -> Any:
    text = urlencode(query)
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return cloud.anonymous.get(f"/internal/metadata?{text}", headers={"X-Stratiform-Signature": signature})


@pytest.fixture
def guest(ready: Any, boot: Boot, network: str, engine: Engine) -> tuple[str, str, str]:
    """(server id, network id, address) of a running guest with everything."""
    ready.member.post("/compute/v2.1/os-keypairs", json={"keypair": {"name": "k", "public_key": KEY}})
    id_ = boot(networks=[{"uuid": network, "tag": "front"}], user_data=USER_DATA, metadata={"role": "web"},
               key_name="k", config_drive=True, name="My Server").json["server"]["id"]  # fmt: skip
    engine.run()
    return id_, network, show(ready.member, id_)["addresses"]["net"][0]["addr"]


def test_an_agent_gets_every_document(ready: Any, guest: tuple[str, str, str]) -> None:
    id_, network, address = guest
    body = ask(ready, network_id=network, address=address).json
    assert body["server_id"] == id_ and body["port_id"]
    documents = {path: base64.b64decode(text) for path, text in body["documents"].items()}
    meta = json.loads(documents["openstack/latest/meta_data.json"])
    assert (meta["uuid"], meta["name"], meta["hostname"]) == (id_, "My Server", "my-server.stratiform.internal")
    assert meta["meta"] == {"role": "web"} and meta["project_id"] == ready.project_id
    assert meta["public_keys"] == {"k": KEY} and meta["keys"] == [{"name": "k", "type": "ssh", "data": KEY}]
    assert meta["devices"][0]["tags"] == ["front"] and len(base64.b64decode(meta["random_seed"])) == 512
    assert documents["openstack/latest/user_data"] == base64.b64decode(USER_DATA)
    assert json.loads(documents["openstack/latest/network_data.json"])["links"][0]["mtu"]
    assert b"latest" in documents["openstack"].split(b"\n")
    assert b"meta_data.json" in documents["openstack/latest"].split(b"\n")
    assert documents["latest/meta-data/local-ipv4"].decode() == address
    assert documents["latest/meta-data/public-keys"] == b"0=k"
    assert documents["latest/meta-data/public-keys/0/openssh-key"].decode() == KEY
    listing = documents["2009-04-04/meta-data"].decode().split("\n")
    assert "instance-id" in listing and "placement/" in listing and "public-keys/" in listing
    again = ask(ready, network_id=network, address=address).json
    assert again["documents"] == body["documents"]


def test_only_signed_questions_about_guests_that_exist_are_answered(ready: Any, guest: tuple[str, str, str]) -> None:
    _, network, address = guest
    assert ask(ready, secret="wrong", network_id=network, address=address).status_code == 403
    assert ready.anonymous.get(f"/internal/metadata?network_id={network}&address={address}").status_code == 403
    assert ask(ready, network_id=network, address="10.0.0.250").status_code == 404
    assert ask(ready, network_id="other", address=address).status_code == 404
    assert ask(ready, address=address).status_code == 400


def test_the_config_drive_has_the_same_bytes(ready: Any, guest: tuple[str, str, str], engine: Engine) -> None:
    _, network, address = guest
    served = ask(ready, network_id=network, address=address).json["documents"]
    (drive,) = next(part["disk_image"]["config_drives"] for part in engine.plans[0][1].hosts.values()
                    if "disk_image" in part)  # fmt: skip
    meta = "openstack/latest/meta_data.json"
    told, fetched = (json.loads(base64.b64decode(text)) for text in (drive["files"][meta], served[meta]))
    assert told.pop("admin_pass"), "the drive, and only it, tells the password, as Nova's does"
    assert told == fetched
    for name in ("user_data", "network_data.json", "vendor_data.json"):
        path = f"openstack/latest/{name}"
        assert drive["files"][path] == served[path], path
    assert json.loads(base64.b64decode(drive["files"]["ec2/latest/meta-data.json"]))["instance-type"] == "tiny"
