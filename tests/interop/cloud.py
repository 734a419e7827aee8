"""The cloud as its administrator sees it through the wire: plain requests, nothing hidden by a client library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import openstack
from keystoneauth1.exceptions import CatalogException
from requests import Response

PAGE = 500


class Cloud:
    """Requests by service type, with the administrator's token."""

    def __init__(self, name: str) -> None:
        self.connection = openstack.connect(cloud=name)
        self.session = self.connection.session
        self.region: str = self.connection.config.get_region_name() or "RegionOne"
        self.services = set(self.session.auth.get_access(self.session).service_catalog.get_endpoints())

    def endpoint(self, service: str) -> str:
        """The service's public URL as its catalog entry has it, with a slash at the end."""
        found = self.session.get_endpoint(service_type=service, interface="public", region_name=self.region)
        if found is None:
            raise CatalogException(f"the catalog has no {service}")
        return str(found).rstrip("/") + "/"

    def request(
        self, service: str, method: str, path: str, *, microversion: str | None = None, **options: Any
    ) -> Response:
        """One call to `path` below the service's endpoint, whatever its answer. An absolute path begins with `http`."""
        headers = dict(options.pop("headers", {}))
        if microversion:
            headers["OpenStack-API-Version"] = f"{service} {microversion}"
        url = path if path.startswith("http") else urljoin(self.endpoint(service), path)
        # A connection that the proxy closed meanwhile is made again: only one on which nothing was sent.
        options.setdefault("connect_retries", 5 if method == "GET" else 0)
        answer: Response = self.session.request(url, method, raise_exc=False, headers=headers, **options)
        return answer

    def get(self, service: str, path: str, *, microversion: str | None = None) -> dict[str, Any]:
        """The body of a GET that must succeed."""
        answer = self.request(service, "GET", path, microversion=microversion)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def list(self, service: str, path: str, key: str, *, microversion: str | None = None) -> Iterator[dict[str, Any]]:
        """Every item of a collection, page by page. A collection that the service does not have is empty."""
        url: str | None = path
        while url is not None:
            answer = self.request(service, "GET", url, microversion=microversion)
            if answer.status_code in (404, 405):
                return
            answer.raise_for_status()
            body = answer.json()
            yield from body[key]
            url = self._next(service, body, key, answer.url)

    def _next(self, service: str, body: dict[str, Any], key: str, here: str) -> str | None:
        """The link to the next page, in each service's own form."""
        if service == "image":
            return urljoin(here, body["next"]) if body.get("next") else None
        links = body.get(f"{key}_links", [])
        if not isinstance(links, list):
            return None
        return next((link["href"] for link in links if link["rel"] == "next"), None)
