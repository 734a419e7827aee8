"""docs/api-coverage.md: every operation of OpenStack's APIs, answered or with the reason why not.

`python -m tests.api_coverage` writes it; tests/unit/test_api_coverage.py compares. The operations are facts
(tests/facts/operations); what is answered is read from the URL map and the registered server actions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/api-coverage.md"
FACTS = ROOT / "tests/facts/operations"
SERVICES = ("compute", "image", "placement", "identity", "network")
SOME = "70a599e0-31e7-49b7-b260-868f441e862b"

NOVA_NETWORK = "nova-network and the proxies for it ended in Nova; the network service has it"
REASONS: dict[str, list[tuple[str, str]]] = {
    "compute": [
        (r"/os-(networks|fixed-ips|floating-ip|tenant-networks|security-group|fping|virtual-interfaces)", NOVA_NETWORK),
        (r"action (addFloatingIp|removeFloatingIp|addFixedIp|removeFixedIp|injectNetworkInfo|resetNetwork)",
         NOVA_NETWORK),
        (r"/(images|os-baremetal-nodes|os-agents|os-cells|os-cloudpipe|os-certificates|os-hosts|os-virtual)",
         "a proxy, or an API of the first releases, that ended in Nova (2.36 or earlier)"),
        (r"/(os-volumes|os-snapshots|os-volumes_boot|os-assisted-volume-snapshots)|os-volume_attachments",
         "needs block storage, which is not there yet"),
        (r"/os-(server-external-events|console-auth-tokens)", "between OpenStack's own processes"),
        (r"action (os-getRDPConsole|os-getSPICEConsole)", "guests have VNC and a serial console"),
        (r"action (evacuate|migrate|os-migrateLive|force_complete)|/migrations",
         "moving servers between hosts is not there yet"),
        (r"action (restore)", "deleted servers are not kept"),
        (r".", "not there yet"),
    ],
    "image": [
        (r"/locations", "locations are refused: hosts fetch images by signed URLs alone"),
        (r"/(cache|cached_images|queued_images)", "Glance's cache middleware; our hosts cache images themselves"),
        (r".", "not there yet"),
    ],
    "placement": [(r".", "not there yet")],
    "identity": [
        (r"/OS-(FEDERATION|OAUTH1|OAUTH2|SIMPLE-CERT)|/auth/OS-FEDERATION",
         "identities come from our own tables alone"),
        (r"/domains/(config|\{domain_id\}/config)", "there are no drivers to configure by domain"),
        (r"/OS-REVOKE", "tokens are checked with every request; nobody reads a list of the revoked"),
        (r".", "not there yet"),
    ],
    "network": [(r".", "an extension that the extension list does not name")],
}  # fmt: skip
"""Why an operation is not answered: the first pattern that its line matches."""


@dataclass(frozen=True)
class Operation:
    service: str
    line: str
    answered: bool

    @property
    def reason(self) -> str:
        return next(reason for pattern, reason in REASONS[self.service] if re.search(pattern, self.line))


def operations(app: Flask) -> Iterator[Operation]:
    """Every operation of every service."""
    from api.compute.routes.dispatch import _actions

    urls = app.url_map.bind("cloud.test")
    for service in SERVICES:
        for line in (FACTS / f"{service}.txt").read_text().splitlines():
            if line.startswith("#"):
                continue
            method, path, *action = line.split()
            answered = any(_has(urls, method, f"/{service}{_filled(path, value)}") for value in (SOME, "7"))
            if action:
                answered = answered and "servers/{id}/action" in path and action[0] in _actions
            yield Operation(service, line, answered)


def _filled(path: str, value: str) -> str:
    return re.sub(r"\{[^}]+\}", value, path)


def _has(urls: object, method: str, path: str) -> bool:
    try:
        urls.match(path, method=method)  # type: ignore[attr-defined]
    except RequestRedirect:
        return True
    except HTTPException:
        return False
    return True


def page(found: list[Operation]) -> str:
    """The page as it should be."""
    lines = [
        "# Which operations are answered", "",
        "Made by `python -m tests.api_coverage`, and compared by a test: every operation that OpenStack's API",
        "descriptions name (gtema/openstack-openapi; `tests/facts/operations`), server actions one by one.", "",
        "| service | operations | answered | |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for service in SERVICES:
        own = [item for item in found if item.service == service]
        done = sum(item.answered for item in own)
        lines.append(f"| {service} | {len(own)} | {done} | {100 * done // len(own)} % |")
    for service in SERVICES:
        missing = [item for item in found if item.service == service and not item.answered]
        lines += ["", f"## {service}: not answered", ""] if missing else ["", f"## {service}: all are answered"]
        for reason in dict.fromkeys(reason for _, reason in REASONS[service]):
            named = [item.line for item in missing if item.reason == reason]
            if named:
                lines += [f"**{reason}**", "", *(f"- `{line}`" for line in named), ""]
    return "\n".join(line for line in lines).rstrip() + "\n"


def main() -> None:
    from api.app import create_app

    PAGE.write_text(page(list(operations(create_app()))))
    print(PAGE)


if __name__ == "__main__":
    main()
