"""Identity's API by plain HTTP: a token, calls, and finding things by name or id.

The opener is urllib's own and made once: Ansible's ``open_url`` makes all its handlers anew for each call, 33 ms of CPU
time where this takes 1 ms, and a module makes about ten calls.
"""

from __future__ import annotations

import json
import ssl
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.cloud import authentication, read_cloud


class Refused(Exception):
    """The API's answer was an error, or there was none (status 0). The message is the API's own sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _NoRedirects(HTTPRedirectHandler):
    """The API redirects nobody; who does must not get our token."""

    def redirect_request(self, *_args: Any, **_options: Any) -> None:
        return None


class Identity:
    """One cloud's identity, spoken to as the module's options say."""

    def __init__(self, module: AnsibleModule) -> None:
        self._cloud = read_cloud(module)
        self._timeout_s = module.params["api_timeout_s"]
        url = self._cloud["auth"]["auth_url"].rstrip("/")
        self.url = url if url.endswith("/v3") else f"{url}/v3"
        self._token: str | None = None
        self._opener = self._make_opener(module)

    def _make_opener(self, module: AnsibleModule) -> OpenerDirector:
        if not self.url.startswith("https:"):
            return build_opener(_NoRedirects)
        try:
            context = ssl.create_default_context(cafile=self._cloud["cacert"])
        except OSError as error:
            module.fail_json(msg=f"{self._cloud['cacert']} holds no certificates to check with ({error.strerror}).")
        if not self._cloud["verify"]:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return build_opener(_NoRedirects, HTTPSHandler(context=context))

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call with a token, made at the first; the answer's JSON. Raises Refused."""
        if self._token is None:
            self._token = self._send("POST", "/auth/tokens", authentication(self._cloud["auth"]), {})[1]
        return self._send(method, path, body, {"X-Auth-Token": self._token or ""})[0]

    def knows_password(self, user_id: str, password: str) -> bool:
        """Whether this is the user's password, found out by a login."""
        user = {"id": user_id, "password": password}
        identity = {"methods": ["password"], "password": {"user": user}}
        try:
            self._send("POST", "/auth/tokens", {"auth": {"identity": identity, "scope": "unscoped"}}, {})
        except Refused as refused:
            if refused.status == 401:
                return False
            raise
        return True

    def listed(self, plural: str, **filters: str | None) -> list[dict[str, Any]]:
        """The resources that fit the filters (None: not filtered)."""
        query = urlencode({name: value for name, value in filters.items() if value is not None})
        found: list[dict[str, Any]] = self.call("GET", f"/{plural}?{query}")[plural]
        return found

    def find(self, plural: str, noun: str, reference: str, **filters: str | None) -> dict[str, Any] | None:
        """The one resource of that name, else of that id; None when there is none. Raises Refused when ambiguous."""
        if not reference:
            raise Refused(400, f"Give the {noun}'s name or id: it is empty.")
        named = self.listed(plural, name=reference, **filters)
        if len(named) > 1:
            raise Refused(409, f"{len(named)} {plural} have the name {reference!r}: give the id.")
        if named:
            return named[0]
        try:
            found: dict[str, Any] = self.call("GET", f"/{plural}/{quote(reference, safe='')}")[noun]
        except Refused as refused:
            if refused.status == 404:
                return None
            raise
        wanted = {name: value for name, value in filters.items() if value is not None}
        return found if all(found.get(name) == value for name, value in wanted.items()) else None

    def get(self, plural: str, noun: str, reference: str, **filters: str | None) -> dict[str, Any]:
        """Like find, but it must be there."""
        found = self.find(plural, noun, reference, **filters)
        if found is None:
            raise Refused(404, f"There is no {noun} {reference!r}. Make it first, or give another name or id.")
        return found

    def exists(self, path: str) -> bool:
        """Whether a HEAD of the path finds something."""
        try:
            self.call("HEAD", path)
        except Refused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> tuple[dict[str, Any], str | None]:
        """The answer's JSON and the token that it brings, if any."""
        data = None if body is None else json.dumps(body).encode()
        usual = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "stratiform"}
        try:
            request = Request(self.url + path, data=data, headers={**usual, **headers}, method=method)
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                text, token = answer.read(), answer.headers.get("X-Subject-Token")
        except HTTPError as error:
            raise Refused(error.code, _sentence(error)) from error
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Refused(0, f"{self.url} does not answer ({reason}): check auth_url and the network.") from error
        return (json.loads(text) if text else {}), token


def _sentence(error: HTTPError) -> str:
    """What the API says is wrong."""
    try:
        message = json.loads(error.read())["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = str(error.reason)
    return f"{message} (HTTP {error.code})"
