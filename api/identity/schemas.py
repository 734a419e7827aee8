"""JSON Schemas of identity's bodies. Unknown attributes are kept where OpenStack keeps them (`extra`)."""

from __future__ import annotations

from typing import Any

from api.http.validation import Schema

_TEXT: dict[str, Any] = {"type": "string"}
_ID: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255}
_BY_ID_OR_NAME: dict[str, Any] = {
    "type": "object", "properties": {"id": _TEXT, "name": _TEXT},
    "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
}  # fmt: skip
_OWNED: dict[str, Any] = {
    "type": "object",
    "properties": {"id": _TEXT, "name": _TEXT, "domain": _BY_ID_OR_NAME},
    "anyOf": [{"required": ["id"]}, {"required": ["name", "domain"]}],
}
_PASSWORD_USER: dict[str, Any] = {
    **_OWNED, "properties": {**_OWNED["properties"], "password": {"type": ["string", "null"]}},
    "required": ["password"],
}  # fmt: skip

AUTHENTICATE = Schema({
    "type": "object", "required": ["auth"],
    "properties": {"auth": {
        "type": "object", "required": ["identity"],
        "properties": {
            "identity": {
                "type": "object", "required": ["methods"],
                "properties": {
                    "methods": {"type": "array", "items": _TEXT, "minItems": 1},
                    "password": {"type": "object", "required": ["user"], "properties": {"user": _PASSWORD_USER}},
                    "token": {"type": "object", "required": ["id"], "properties": {"id": _TEXT}},
                    "application_credential": {
                        "type": "object", "required": ["secret"],
                        "properties": {"id": _TEXT, "name": _TEXT, "secret": _TEXT, "user": _OWNED},
                        "anyOf": [{"required": ["id"]}, {"required": ["name", "user"]}],
                    },
                },
            },
            "scope": {"anyOf": [
                {"type": "null"},
                {"const": "unscoped"},
                {
                    "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
                    "properties": {
                        "project": _OWNED, "domain": _BY_ID_OR_NAME, "unscoped": {"type": "object"},
                        "OS-TRUST:trust": {"type": "object", "required": ["id"], "properties": {"id": _TEXT}},
                        "system": {"type": "object", "required": ["all"], "properties": {"all": {"const": True}}},
                    },
                },
            ]},
        },
    }},
}, secret=True)  # fmt: skip

_NAME: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"\S"}
_NULLABLE: dict[str, Any] = {"type": ["string", "null"]}
_NULLABLE_ID: dict[str, Any] = {"type": ["string", "null"], "maxLength": 64}
_FLAG: dict[str, Any] = {"type": "boolean"}
_TAG: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^,/]*$"}
_TAGS: dict[str, Any] = {"type": "array", "items": _TAG, "maxItems": 80, "uniqueItems": True}
_OPTIONS: dict[str, Any] = {
    "type": "object",
    "properties": {"immutable": {"type": ["boolean", "null"]}},
    "additionalProperties": False,
}
# The options for several factors are refused: a rule that nobody enforces must not look accepted.
_USER_OPTIONS: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": ["boolean", "null"]} for name in (
            "ignore_change_password_upon_first_use", "ignore_password_expiry", "ignore_lockout_failure_attempts",
            "lock_password", "ignore_user_inactivity")},
    },
    "additionalProperties": False,
}  # fmt: skip

TAG = Schema(_TAG)
TAGS = Schema({"type": "object", "required": ["tags"], "properties": {"tags": _TAGS}})


def _pair(
    noun: str, properties: dict[str, Any], required: tuple[str, ...], *, secret: bool = False, closed: bool = False
) -> tuple[Schema, Schema]:
    """The schemas of creating and of changing a resource: the one wants what it cannot be without."""
    body = {"type": "object", "properties": properties, "additionalProperties": not closed}
    return tuple(  # type: ignore[return-value]
        Schema({"type": "object", "required": [noun], "properties": {noun: {**body, **wants}}}, secret=secret)
        for wants in ({"required": list(required)}, {"minProperties": 1})
    )


_SHORT_NAME: dict[str, Any] = {**_NAME, "maxLength": 64}
_PROJECT = {
    "name": _SHORT_NAME, "description": _NULLABLE, "enabled": _FLAG, "domain_id": _NULLABLE_ID,
    "parent_id": _NULLABLE_ID, "is_domain": _FLAG, "tags": _TAGS, "options": _OPTIONS,
}  # fmt: skip
PROJECT_CREATE, PROJECT_UPDATE = _pair("project", _PROJECT, ("name",))
_HEX_ID: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
DOMAIN_CREATE, DOMAIN_UPDATE = _pair(
    "domain",
    {"name": _SHORT_NAME, "description": _NULLABLE, "enabled": _FLAG, "tags": _TAGS, "options": _OPTIONS,
     "explicit_domain_id": _HEX_ID}, ("name",),
)  # fmt: skip
_PASSWORD: dict[str, Any] = {"type": ["string", "null"], "minLength": 1}
USER_CREATE, USER_UPDATE = _pair(
    "user",
    {"name": _NAME, "description": _NULLABLE, "enabled": _FLAG, "domain_id": _NULLABLE_ID, "password": _PASSWORD,
     "default_project_id": _NULLABLE_ID, "options": _USER_OPTIONS}, ("name",), secret=True,
)  # fmt: skip
USER_PASSWORD = Schema({
    "type": "object", "required": ["user"], "properties": {"user": {
        "type": "object", "required": ["password", "original_password"],
        "properties": {"password": {"type": "string", "minLength": 1}, "original_password": _TEXT},
    }},
}, secret=True)  # fmt: skip
GROUP_CREATE, GROUP_UPDATE = _pair(
    "group", {"name": _SHORT_NAME, "description": _NULLABLE, "domain_id": _NULLABLE_ID}, ("name",))  # fmt: skip
ROLE_CREATE, ROLE_UPDATE = _pair(
    "role", {"name": _NAME, "description": _NULLABLE, "domain_id": _NULLABLE_ID, "options": _OPTIONS}, ("name",)
)
REGION_ID = Schema(_ID)
REGION_CREATE, REGION_UPDATE = _pair(
    "region", {"id": {"type": ["string", "null"], "maxLength": 255}, "description": _NULLABLE,
               "parent_region_id": {"type": ["string", "null"], "maxLength": 255}}, (),
)  # fmt: skip
SERVICE_CREATE, SERVICE_UPDATE = _pair(
    "service", {"type": _ID, "name": {"type": ["string", "null"], "maxLength": 255}, "description": _NULLABLE,
                "enabled": _FLAG}, ("type",),
)  # fmt: skip
ENDPOINT_CREATE, ENDPOINT_UPDATE = _pair(
    "endpoint",
    {"service_id": _ID, "interface": {"enum": ["public", "internal", "admin"]}, "enabled": _FLAG,
     "url": {"type": "string", "pattern": r"^[a-zA-Z0-9+.-]+:.+", "maxLength": 2048},
     "region_id": {"type": ["string", "null"], "maxLength": 255}, "region": {"type": ["string", "null"]}},
    ("service_id", "interface", "url"),
)  # fmt: skip
_ACCESS_RULES: dict[str, Any] = {
    "type": ["array", "null"], "maxItems": 100,
    "items": {
        "type": "object", "additionalProperties": False,
        "properties": {
            "id": _TEXT, "service": {"type": "string", "minLength": 1, "maxLength": 64},
            "path": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^/"},
            "method": {"enum": ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS", "TRACE", "CONNECT"]},
        },
        "anyOf": [{"required": ["id"]}, {"required": ["service", "method", "path"]}],
    },
}  # fmt: skip
APPLICATION_CREDENTIAL_CREATE, _ = _pair(
    "application_credential",
    {"name": _NAME, "description": _NULLABLE, "secret": {"type": ["string", "null"], "minLength": 1},
     "expires_at": _NULLABLE, "unrestricted": _FLAG, "access_rules": _ACCESS_RULES,
     "roles": {"type": ["array", "null"], "items": {
         "type": "object", "properties": {"id": _TEXT, "name": _TEXT},
         "anyOf": [{"required": ["id"]}, {"required": ["name"]}]}},
     "project_id": _NULLABLE, "system": {}, "id": _TEXT},
    ("name",), secret=True, closed=True,
)  # fmt: skip

TRUST_CREATE, _ = _pair(
    "trust",
    {"trustor_user_id": _ID, "trustee_user_id": _ID, "impersonation": _FLAG, "project_id": _NULLABLE_ID,
     "remaining_uses": {"type": ["integer", "null"], "minimum": 1, "maximum": 2**31 - 1}, "expires_at": _NULLABLE,
     "allow_redelegation": {"type": ["boolean", "null"]},
     "redelegation_count": {"type": ["integer", "null"], "minimum": 0},
     "roles": {"type": "array", "items": {
         "type": "object", "properties": {"id": _TEXT, "name": _TEXT},
         "anyOf": [{"required": ["id"]}, {"required": ["name"]}]}}},
    ("trustor_user_id", "trustee_user_id", "impersonation"), closed=True,
)  # fmt: skip
CREDENTIAL_CREATE, CREDENTIAL_UPDATE = _pair(
    "credential",
    {"id": _TEXT, "type": _ID, "blob": {"type": "string", "maxLength": 65_536}, "user_id": _ID,
     "project_id": _NULLABLE_ID},
    ("type", "blob"), secret=True,
)  # fmt: skip
EC2_CREATE = Schema({"type": "object", "required": ["tenant_id"], "properties": {"tenant_id": _ID}})
_SIGNED: dict[str, Any] = {
    "type": "object", "required": ["access", "signature"], "properties": {"access": _TEXT, "signature": _TEXT},
}  # fmt: skip
EC2_SIGNED = Schema({
    "type": "object", "properties": {"ec2Credentials": _SIGNED, "credentials": _SIGNED},
    "anyOf": [{"required": ["ec2Credentials"]}, {"required": ["credentials"]}],
}, secret=True)  # fmt: skip
S3_SIGNED = Schema({
    "type": "object", "required": ["credentials"],
    "properties": {"credentials": {
        **_SIGNED, "required": ["access", "signature", "token"],
        "properties": {**_SIGNED["properties"], "token": _TEXT},
    }},
}, secret=True)  # fmt: skip
POLICY_CREATE, POLICY_UPDATE = _pair("policy", {"type": _ID, "blob": _TEXT}, ("type", "blob"))
ENDPOINT_GROUP_CREATE, ENDPOINT_GROUP_UPDATE = _pair(
    "endpoint_group",
    {"name": _NAME, "description": _NULLABLE, "filters": {
        "type": "object", "additionalProperties": False,
        "properties": {"service_id": _TEXT, "region_id": _TEXT, "interface": {"enum": ["public", "internal", "admin"]}},
    }},
    ("name", "filters"),
)  # fmt: skip
