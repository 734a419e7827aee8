"""Tokens: getting one, what it says, and when it stops to hold."""

from __future__ import annotations

from typing import Any

import pytest

TOKENS = "/identity/v3/auth/tokens"


def test_a_password_gives_a_project_token(cloud: Any) -> None:
    answer = cloud.login("member", cloud.passwords["member"], {"project": {"id": cloud.project_id}})
    assert answer.status_code == 201
    token = answer.json["token"]
    assert len(answer.headers["X-Subject-Token"]) < 260
    assert token["methods"] == ["password"]
    assert token["project"] == {"id": cloud.project_id, "name": "demo", "domain": {"id": "default", "name": "Default"}}
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert {service["type"] for service in token["catalog"]} == {
        "identity", "compute", "network", "image", "placement", "operations"}  # fmt: skip
    assert token["expires_at"].endswith(".000000Z")
    assert len(token["audit_ids"]) == 1


@pytest.mark.parametrize("user, password", [("member", "wrong"), ("nobody", "wrong"), ("member", "")])
def test_a_wrong_password_and_an_unknown_user_look_the_same(cloud: Any, user: str, password: str) -> None:
    answer = cloud.login(user, password)
    assert answer.status_code == 401
    message = "The request you have made requires authentication."
    assert answer.json == {"error": {"code": 401, "title": "Unauthorized", "message": message}}
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_validation_shows_the_token(cloud: Any) -> None:
    answer = cloud.admin.get(TOKENS, headers={"X-Subject-Token": cloud.member.token})
    assert answer.status_code == 200
    assert answer.json["token"]["user"]["name"] == "member"
    assert "catalog" not in cloud.admin.get(
        f"{TOKENS}?nocatalog", headers={"X-Subject-Token": cloud.member.token}).json["token"]  # fmt: skip


def test_a_token_can_be_checked_and_revoked_by_its_holder(cloud: Any) -> None:
    own = {"X-Subject-Token": cloud.member.token}
    assert cloud.member.head(TOKENS, headers=own).status_code == 200
    assert cloud.other.get(TOKENS, headers=own).status_code == 403
    assert cloud.member.delete(TOKENS, headers=own).status_code == 204
    assert cloud.admin.get(TOKENS, headers=own).status_code == 404
    assert cloud.other.get(TOKENS, headers=own).status_code == 404
    assert cloud.member.get(TOKENS, headers=own).status_code == 401
