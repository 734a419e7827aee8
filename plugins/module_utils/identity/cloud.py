"""Where a cloud's identity is and as whom to speak to it: from the module's options and clouds.yaml."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

try:
    import yaml
except ImportError:
    yaml = None

_TEXTS = (
    "auth_url", "username", "user_id", "user_domain_id", "user_domain_name", "project_id", "project_name",
    "project_domain_id", "project_domain_name", "domain_id", "domain_name", "application_credential_id",
)  # fmt: skip
_SECRETS = ("password", "token", "application_credential_secret")

CLOUD_OPTIONS: dict[str, Any] = {
    "cloud": {"type": "str", "fallback": (env_fallback, ["OS_CLOUD"])},
    "auth": {
        "type": "dict",
        "options": {
            **{name: {"type": "str"} for name in _TEXTS},
            **{name: {"type": "str", "no_log": True} for name in _SECRETS},
            "system_scope": {"type": "str", "choices": ["all"]},
        },
    },
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool"},
    "api_timeout_s": {"type": "int", "default": 60},
}


def read_cloud(module: AnsibleModule) -> dict[str, Any]:
    """The options to reach the cloud with: ``auth``, ``cacert``, ``verify``. Ends the module when they do not do."""
    given = {name: value for name, value in (module.params["auth"] or {}).items() if value is not None}
    entry = _entry(module) if module.params["cloud"] and not given.get("auth_url") else {}
    auth = {**(entry.get("auth") or {}), **given}
    if not auth.get("auth_url"):
        module.fail_json(msg="Where is the API? Give auth.auth_url, or the name of an entry of clouds.yaml as cloud.")
    verify = module.params["validate_certs"]
    return {
        "auth": auth,
        "cacert": module.params["ca_cert"] or entry.get("cacert"),
        "verify": entry.get("verify", True) if verify is None else verify,
    }


def _entry(module: AnsibleModule) -> dict[str, Any]:
    name = module.params["cloud"]
    if yaml is None:
        module.fail_json(msg=f"To read clouds.yaml: {missing_required_lib('PyYAML')}")
    for path in _paths():
        if not os.path.exists(path):
            continue
        try:
            with open(path, encoding="utf-8") as file:
                clouds = (yaml.safe_load(file) or {}).get("clouds") or {}
        except (OSError, yaml.YAMLError) as error:
            # The parser's own words may quote a password.
            module.fail_json(msg=f"{path} cannot be read ({type(error).__name__}): mend it.")
        if name in clouds:
            return dict(clouds[name])
    return module.fail_json(msg=f"No clouds.yaml has the cloud {name!r}. Looked at: {', '.join(_paths())}.")


def _paths() -> list[str]:
    named = os.environ.get("OS_CLIENT_CONFIG_FILE")
    usual = ["clouds.yaml", os.path.expanduser("~/.config/openstack/clouds.yaml"), "/etc/openstack/clouds.yaml"]
    return ([named] if named else []) + usual


def authentication(auth: dict[str, Any]) -> dict[str, Any]:
    """The body of POST /v3/auth/tokens that the options ask for."""
    identity: dict[str, Any]
    if auth.get("token"):
        identity = {"methods": ["token"], "token": {"id": auth["token"]}}
    elif auth.get("application_credential_id"):
        credential = {
            "id": auth["application_credential_id"], "secret": auth.get("application_credential_secret") or ""
        }  # fmt: skip
        return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": credential}}}
    else:
        user = {**_named(auth, "user_id", "username", "user_domain"), "password": auth.get("password") or ""}
        identity = {"methods": ["password"], "password": {"user": user}}
    body: dict[str, Any] = {"identity": identity}
    if auth.get("system_scope"):
        body["scope"] = {"system": {"all": True}}
    elif auth.get("project_id") or auth.get("project_name"):
        body["scope"] = {"project": _named(auth, "project_id", "project_name", "project_domain")}
    elif auth.get("domain_id") or auth.get("domain_name"):
        chosen = "id" if auth.get("domain_id") else "name"
        body["scope"] = {"domain": {chosen: auth[f"domain_{chosen}"]}}
    return {"auth": body}


def _named(auth: dict[str, Any], id_key: str, name_key: str, domain_key: str) -> dict[str, Any]:
    if auth.get(id_key):
        return {"id": auth[id_key]}
    if auth.get(f"{domain_key}_name"):
        domain = {"name": auth[f"{domain_key}_name"]}
    else:
        domain = {"id": auth.get(f"{domain_key}_id") or "default"}
    return {"name": auth.get(name_key) or "", "domain": domain}
