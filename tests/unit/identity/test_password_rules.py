"""What the operator may ask of passwords (settings `[identity]`)."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from api.config import settings
from api.identity.models import User

V3 = "/identity/v3"


@pytest.fixture
def rules(cloud: Any) -> Any:
    """Sets options of `[identity]`."""

    def set_options(**options: Any) -> None:
        path = cloud.folder / "stratiform.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
        path.write_text(path.read_text() + "[identity]\n" + "\n".join(lines) + "\n")
        settings.cache_clear()

    return set_options


def change(cloud: Any, old: str, new: str, user: str = "member") -> int:
    body = {"user": {"original_password": old, "password": new}}
    status: int = cloud.anonymous.post(f"{V3}/users/{cloud.user_ids[user]}/password", json=body).status_code
    return status


def test_a_password_does_not_return_too_soon(cloud: Any, rules: Any) -> None:
    rules(password_history=3)
    old = cloud.passwords["member"]
    assert change(cloud, old, old) == 400
    assert change(cloud, old, "second") == 204
    assert change(cloud, "second", old) == 400
    assert change(cloud, "second", "third") == 204
    assert change(cloud, "third", "second") == 400
    assert change(cloud, "third", old) == 204


def test_an_administrator_may_set_a_former_password(cloud: Any, rules: Any) -> None:
    rules(password_history=3)
    path = f"{V3}/users/{cloud.user_ids['member']}"
    for password in ("one", "two", "one"):
        assert cloud.admin.patch(path, json={"user": {"password": password}}).status_code == 200


def test_an_expired_password_must_be_changed_first(cloud: Any, rules: Any) -> None:
    rules(password_expires_days=30)
    shown = cloud.admin.get(f"{V3}/users/{cloud.user_ids['member']}").json["user"]
    assert shown["password_expires_at"] is not None
    with cloud.write() as session:
        user = session.get_one(User, cloud.user_ids["member"])
        user.password_at = user.created_at - datetime.timedelta(days=31)
    answer = cloud.login("member", cloud.passwords["member"])
    assert answer.status_code == 401
    assert "expired" in answer.json["error"]["message"]
    assert cloud.login("member", "wrong").json["error"]["message"] != answer.json["error"]["message"]
    assert change(cloud, cloud.passwords["member"], "another") == 204
    assert cloud.login("member", "another").status_code == 201


def test_a_password_fits_the_operators_expression(cloud: Any, rules: Any) -> None:
    rules(password_regex=r"^(?=.*\d).{7,}$", password_regex_description="7 with a digit")
    assert change(cloud, cloud.passwords["member"], "short1") == 400
    body = {"user": {"name": "new", "password": "withoutdigits"}}
    refused = cloud.admin.post(f"{V3}/users", json=body)
    assert refused.status_code == 400
    assert "7 with a digit" in refused.json["error"]["message"]
    assert "withoutdigits" not in refused.json["error"]["message"]
    assert change(cloud, cloud.passwords["member"], "long enough 1") == 204


def test_a_new_user_changes_its_first_password(cloud: Any, rules: Any) -> None:
    rules(change_password_upon_first_use=True, password_minimum_age_days=1)
    made = cloud.admin.post(f"{V3}/users", json={"user": {"name": "new", "password": "first"}}).json["user"]
    assert cloud.login("new", "first").status_code == 401
    cloud.user_ids["new"] = made["id"]
    assert change(cloud, "first", "second", "new") == 204
    assert cloud.login("new", "second").status_code == 201
    assert change(cloud, "second", "third", "new") == 400
