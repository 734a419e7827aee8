"""What users hand on: trusts, application credentials with access rules, EC2 key pairs."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from api.identity.models import Credential

V3 = "/identity/v3"
TRUSTS = f"{V3}/OS-TRUST/trusts"


def make_trust(cloud: Any, **fields: Any) -> dict[str, Any]:
    body = {
        "trustor_user_id": cloud.user_ids["member"], "trustee_user_id": cloud.user_ids["other"],
        "project_id": cloud.project_id, "impersonation": False, "roles": [{"name": "reader"}],
    } | fields  # fmt: skip
    answer = cloud.member.post(TRUSTS, json={"trust": body})
    assert answer.status_code == 201, answer.json
    trust: dict[str, Any] = answer.json["trust"]
    return trust


def use_trust(cloud: Any, trust_id: str) -> Any:
    return cloud.login("other", cloud.passwords["other"], {"OS-TRUST:trust": {"id": trust_id}})


@pytest.mark.parametrize("impersonation", [True, False])
def test_a_trustee_acts_with_the_trusts_roles_alone(cloud: Any, impersonation: bool) -> None:
    trust = make_trust(cloud, impersonation=impersonation)
    answer = use_trust(cloud, trust["id"])
    assert answer.status_code == 201, answer.json
    token = answer.json["token"]
    assert token["user"]["name"] == ("member" if impersonation else "other")
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["project"]["id"] == cloud.project_id
    assert token["OS-TRUST:trust"]["trustor_user"] == {"id": cloud.user_ids["member"]}
    trusted = cloud.client(answer.headers["X-Subject-Token"])
    assert trusted.get(f"{V3}/projects/{cloud.project_id}").status_code == 200
    assert trusted.post(TRUSTS, json={"trust": {
        "trustor_user_id": token["user"]["id"], "trustee_user_id": cloud.admin_id, "impersonation": True,
        "project_id": cloud.project_id, "roles": [{"name": "reader"}]}}).status_code == 403  # fmt: skip
    again = {"identity": {"methods": ["token"], "token": {"id": trusted.token}}}
    assert cloud.anonymous.post(f"{V3}/auth/tokens", json={"auth": again}).status_code == 403


def test_a_trusts_tokens_end_with_it(cloud: Any) -> None:
    trust = make_trust(cloud)
    trusted = cloud.client(use_trust(cloud, trust["id"]).headers["X-Subject-Token"])
    assert trusted.get(f"{V3}/auth/catalog").status_code == 200
    assert cloud.other.delete(f"{TRUSTS}/{trust['id']}").status_code == 403
    assert cloud.member.delete(f"{TRUSTS}/{trust['id']}").status_code == 204
    assert trusted.get(f"{V3}/auth/catalog").status_code == 401
    assert cloud.member.get(f"{TRUSTS}/{trust['id']}").status_code == 404
    assert use_trust(cloud, trust["id"]).status_code == 401


def test_a_trust_is_used_up(cloud: Any) -> None:
    trust = make_trust(cloud, remaining_uses=1)
    assert use_trust(cloud, trust["id"]).status_code == 201
    assert use_trust(cloud, trust["id"]).status_code == 403
    assert cloud.member.get(f"{TRUSTS}/{trust['id']}").json["trust"]["remaining_uses"] == 0


def test_who_sees_a_trust(cloud: Any) -> None:
    trust = make_trust(cloud, expires_at="2100-01-31T10:20:30Z")
    assert trust["expires_at"] == "2100-01-31T10:20:30.000000Z"
    for caller in (cloud.member, cloud.other, cloud.admin):
        assert caller.get(f"{TRUSTS}/{trust['id']}").json["trust"]["roles"][0]["name"] == "reader"
    assert cloud.reader.get(f"{TRUSTS}/{trust['id']}").status_code == 403
    assert cloud.reader.get(TRUSTS).status_code == 403
    mine = f"{TRUSTS}?trustor_user_id={cloud.user_ids['member']}"
    assert [entry["id"] for entry in cloud.member.get(mine).json["trusts"]] == [trust["id"]]
    assert cloud.other.get(mine).status_code == 403
    role_id = trust["roles"][0]["id"]
    assert cloud.other.head(f"{TRUSTS}/{trust['id']}/roles/{role_id}").status_code == 200
    assert cloud.other.get(f"{TRUSTS}/{trust['id']}/roles/none").status_code == 404


@pytest.mark.parametrize(("field", "value", "status"), [
    ("expires_at", "bad.123Z", 400), ("expires_at", "2001-01-01T00:00:00Z", 400),
    ("expires_at", "0001-01-01T00:00:00+23:00", 400), ("roles", [{"name": "admin"}], 403), ("roles", [], 403),
    ("remaining_uses", 0, 400), ("allow_redelegation", True, 400), ("project_id", "none", 404),
    ("trustee_user_id", "none", 404), ("trustor_user_id", "somebody-else", 403),
])  # fmt: skip
def test_a_trust_that_cannot_be(cloud: Any, field: str, value: Any, status: int) -> None:
    body = {
        "trustor_user_id": cloud.user_ids["member"], "trustee_user_id": cloud.user_ids["other"],
        "project_id": cloud.project_id, "impersonation": False, "roles": [{"name": "reader"}], field: value,
    }  # fmt: skip
    assert cloud.member.post(TRUSTS, json={"trust": body}).status_code == status


def make_credential(cloud: Any, name: str, rules: list[dict[str, str]]) -> tuple[dict[str, Any], Any]:
    """An application credential of the member's, and a caller with its token."""
    path = f"{V3}/users/{cloud.user_ids['member']}/application_credentials"
    body = {"name": name, "secret": "s3cret", "access_rules": rules}
    answer = cloud.member.post(path, json={"application_credential": body})
    assert answer.status_code == 201, answer.json
    made = answer.json["application_credential"]
    identity = {"methods": ["application_credential"],
                "application_credential": {"id": made["id"], "secret": "s3cret"}}  # fmt: skip
    token = cloud.anonymous.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})
    return made, cloud.client(token.headers["X-Subject-Token"])


def test_access_rules_confine_a_credential(cloud: Any) -> None:
    rules = [{"service": "identity", "method": "GET", "path": "/v3/projects/*"}]
    made, program = make_credential(cloud, "program", rules)
    assert [{key: rule[key] for key in ("service", "method", "path")} for rule in made["access_rules"]] == rules
    project = f"{V3}/projects/{cloud.project_id}"
    assert program.get(project).status_code == 200
    assert program.head(project).status_code == 200
    assert program.get(f"{project}/tags").status_code == 401
    assert program.delete(project).status_code == 401
    _, nothing = make_credential(cloud, "nothing", [])
    assert nothing.get(project).status_code == 401


def test_access_rules_are_shared_and_stay_while_in_use(cloud: Any) -> None:
    rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers/*/ips"}
    made, _ = make_credential(cloud, "one", [rule])
    rule_id = made["access_rules"][0]["id"]
    other, _ = make_credential(cloud, "two", [{"id": rule_id}])
    assert other["access_rules"] == made["access_rules"]
    path = f"{V3}/users/{cloud.user_ids['member']}/access_rules"
    assert [entry["id"] for entry in cloud.member.get(path).json["access_rules"]] == [rule_id]
    assert cloud.other.get(path).status_code == 403
    assert cloud.member.delete(f"{path}/{rule_id}").status_code == 403
    for one in (made, other):
        credential = f"{V3}/users/{cloud.user_ids['member']}/application_credentials/{one['id']}"
        assert cloud.member.delete(credential).status_code == 204
    assert cloud.member.delete(f"{path}/{rule_id}").status_code == 204
    assert cloud.member.get(f"{path}/{rule_id}").status_code == 404


def make_key_pair(cloud: Any) -> dict[str, Any]:
    path = f"{V3}/users/{cloud.user_ids['member']}/credentials/OS-EC2"
    answer = cloud.member.post(path, json={"tenant_id": cloud.project_id})
    assert answer.status_code == 201, answer.json
    pair: dict[str, Any] = answer.json["credential"]
    return pair


def test_an_ec2_key_pair_is_a_sealed_credential(cloud: Any) -> None:
    pair = make_key_pair(cloud)
    path = f"{V3}/users/{cloud.user_ids['member']}/credentials/OS-EC2"
    assert cloud.member.get(path).json["credentials"] == [pair]
    assert cloud.member.get(f"{path}/{pair['access']}").json["credential"] == pair
    assert cloud.other.get(f"{path}/{pair['access']}").status_code == 403
    credential_id = hashlib.sha256(pair["access"].encode()).hexdigest()
    assert pair["secret"] in cloud.member.get(f"{V3}/credentials/{credential_id}").json["credential"]["blob"]
    with cloud.read() as session:
        assert pair["secret"] not in session.get_one(Credential, credential_id).sealed
    assert cloud.member.delete(f"{path}/{pair['access']}").status_code == 204
    assert cloud.member.get(f"{path}/{pair['access']}").status_code == 404


def signed_v2(pair: dict[str, Any]) -> dict[str, Any]:
    params = {"SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "Action": "Describe It", "AWSAccessKeyId": "x"}
    query = "AWSAccessKeyId=x&Action=Describe%20It&SignatureMethod=HmacSHA256&SignatureVersion=2"
    message = f"GET\ncloud.test\n/services\n{query}"
    digest = hmac.new(pair["secret"].encode(), message.encode(), hashlib.sha256).digest()
    return {"access": pair["access"], "signature": base64.b64encode(digest).decode(), "verb": "GET",
            "host": "cloud.test:8773", "path": "/services", "params": params}  # fmt: skip


def test_a_signed_request_gives_its_signers_token(cloud: Any) -> None:
    pair = make_key_pair(cloud)
    given = signed_v2(pair)
    answer = cloud.admin.post(f"{V3}/ec2tokens", json={"ec2Credentials": given})
    assert answer.status_code == 200, answer.json
    assert answer.json["token"]["user"]["id"] == cloud.user_ids["member"]
    assert answer.json["token"]["methods"] == ["ec2credential"]
    assert cloud.client(answer.headers["X-Subject-Token"]).get(f"{V3}/auth/catalog").status_code == 200
    wrong = {**given, "signature": "AAAA"}
    assert cloud.admin.post(f"{V3}/ec2tokens", json={"ec2Credentials": wrong}).status_code == 401
    assert cloud.member.post(f"{V3}/ec2tokens", json={"ec2Credentials": given}).status_code == 403
    assert cloud.anonymous.post(f"{V3}/ec2tokens", json={"ec2Credentials": given}).status_code == 401


# The example of "Signature Version 4 signing process" in the AWS General Reference (iam, ListUsers).
AWS_EXAMPLE = {
    "access": "AKIDEXAMPLE", "verb": "GET", "host": "iam.amazonaws.com", "path": "/",
    "params": {"Action": "ListUsers", "Version": "2010-05-08"},
    "headers": {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Host": "iam.amazonaws.com",
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
                         "SignedHeaders=content-type;host;x-amz-date, Signature=none",
    },
    "body_hash": hashlib.sha256(b"").hexdigest(),
    "signature": "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
}  # fmt: skip


def test_signature_version_4_is_amazons() -> None:
    from api.identity import signatures

    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert signatures.is_right(secret, dict(AWS_EXAMPLE))
    assert not signatures.is_right("another secret", dict(AWS_EXAMPLE))
    assert not signatures.is_right(secret, {**AWS_EXAMPLE, "path": "/other"})


def test_an_s3_signature_gives_a_token(cloud: Any) -> None:
    pair = make_key_pair(cloud)
    message = b"GET\n\n\nWed, 25 Nov 2026 10:00:00 GMT\n/bucket/object"
    signature = base64.b64encode(hmac.new(pair["secret"].encode(), message, hashlib.sha1).digest()).decode()
    given = {"access": pair["access"], "signature": signature, "token": base64.urlsafe_b64encode(message).decode()}
    answer = cloud.admin.post(f"{V3}/s3tokens", json={"credentials": given})
    assert answer.status_code == 200, answer.json
    given["signature"] = "AAAA"
    assert cloud.admin.post(f"{V3}/s3tokens", json={"credentials": given}).status_code == 401


def test_a_credential_keeps_its_owner(cloud: Any) -> None:
    body = {"type": "cert", "blob": "text", "project_id": cloud.project_id}
    made = cloud.member.post(f"{V3}/credentials", json={"credential": body}).json["credential"]
    path = f"{V3}/credentials/{made['id']}"
    assert made["user_id"] == cloud.user_ids["member"]
    assert cloud.other.get(path).status_code == 403
    assert cloud.other.get(f"{V3}/credentials").json["credentials"] == []
    assert [entry["id"] for entry in cloud.admin.get(f"{V3}/credentials").json["credentials"]] == [made["id"]]
    changed = cloud.member.patch(path, json={"credential": {"blob": "another"}})
    assert changed.json["credential"]["blob"] == "another"
    assert cloud.member.patch(path, json={"credential": {"user_id": cloud.admin_id}}).status_code == 400
    foreign = {**body, "user_id": cloud.admin_id}
    assert cloud.member.post(f"{V3}/credentials", json={"credential": foreign}).status_code == 403
    bad = {"type": "ec2", "blob": "no json", "project_id": cloud.project_id}
    assert cloud.member.post(f"{V3}/credentials", json={"credential": bad}).status_code == 400
    assert cloud.member.delete(path).status_code == 204
