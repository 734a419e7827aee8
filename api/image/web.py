"""Downloads for `web-download`, so that no tenant reads what only the control host can reach.

The name is looked up once and the connection goes to that very address; addresses that are not public are refused
unless the operator named the host; each redirect passes the same checks; no proxy and no credentials are used.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from api.config import settings

ANY = "*"
MAX_REDIRECTS = 5
TIMEOUT_S = 60
_PORTS = {"http": 80, "https": 443}


class BadUrl(Exception):
    """Why a URL is not downloaded, in a sentence for the tenant."""


class Download:
    """The bytes behind a URL. `length` in bytes, when the server tells."""

    def __init__(self, response: http.client.HTTPResponse, connection: http.client.HTTPConnection) -> None:
        self._response = response
        self._connection = connection
        self._deadline = time.monotonic() + settings().image.import_timeout_s
        told = response.getheader("Content-Length", "")
        self.length = int(told) if told.isascii() and told.isdigit() and len(told) < 19 else None

    def read(self, size: int, /) -> bytes:
        """The next bytes; OSError when the server breaks off or is too slow."""
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"the download took more than {settings().image.import_timeout_s} s")
        try:
            return self._response.read(size)
        except http.client.HTTPException as error:
            raise ConnectionError(f"the server broke off ({type(error).__name__})") from error

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def check(url: str) -> SplitResult:
    """The parts of a URL that may be downloaded as far as its text tells; raises BadUrl."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl("The URI is malformed.") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise BadUrl("The URI is not of the form http(s)://host/path.")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("The URI must not have a user name or password in it.")
    if not url.isascii() or any(character.isspace() or not character.isprintable() for character in url):
        raise BadUrl("The URI has characters that must be percent-encoded.")
    allowed = settings().image
    if ANY not in allowed.web_download_hosts and not _is_named(parts.hostname):
        raise BadUrl(f"Images are not downloaded from {parts.hostname}: ask the operator for that host.")
    if (port or _PORTS[parts.scheme]) not in allowed.web_download_ports:
        raise BadUrl(f"Images are downloaded from the ports {', '.join(map(str, allowed.web_download_ports))} alone.")
    return parts


def _is_named(host: str) -> bool:
    return host.lower() in (name.lower() for name in settings().image.web_download_hosts)


def fetch(url: str) -> Download:
    """Begins to download; raises BadUrl for what may not or cannot be downloaded, OSError when the network fails."""
    for _ in range(MAX_REDIRECTS + 1):
        parts = check(url)
        connection = _connect(parts)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"Accept-Encoding": "identity", "User-Agent": "Stratiform"})
            response = connection.getresponse()
        except http.client.HTTPException as error:
            connection.close()
            raise ConnectionError(f"{parts.hostname} does not speak HTTP ({type(error).__name__})") from error
        except BaseException:
            connection.close()
            raise
        if response.status == 200:
            return Download(response, connection)
        target = response.getheader("Location")
        connection.close()
        if response.status not in (301, 302, 303, 307, 308) or not target:
            raise BadUrl(f"{parts.hostname} answered {response.status} instead of the image.")
        url = urljoin(url, target)
    raise BadUrl(f"There are more than {MAX_REDIRECTS} redirects.")


def _connect(parts: SplitResult) -> http.client.HTTPConnection:
    host = str(parts.hostname)
    port = parts.port or _PORTS[parts.scheme]
    pinned = _Pinned(host, port, _address(host, port))
    return _PinnedTls(pinned) if parts.scheme == "https" else _PinnedPlain(pinned)


def _address(host: str, port: int) -> str:
    """The address to connect to; BadUrl when one of the host's is not public and the host is not named."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise BadUrl(f"There is no host {host[:255]}.") from None
    addresses = sorted(str(address) for address in found)
    if not _is_named(host) and not all(is_public(address) for address in addresses):
        raise BadUrl(f"{host} has an address inside this cloud or site: images are not downloaded from there.")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether the address is one of the public internet."""
    try:
        parsed: Any = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    teredo = getattr(parsed, "teredo", None)
    nat64 = parsed.version == 6 and parsed in ipaddress.ip_network("64:ff9b::/96")
    if teredo or nat64:
        return False
    parsed = inner or parsed
    return bool(parsed.is_global and not parsed.is_multicast)


class _Pinned:
    """A host's name with the address that was checked."""

    def __init__(self, host: str, port: int, address: str) -> None:
        self.host, self.port, self.address = host, port, address

    def open(self) -> socket.socket:
        """A connection to that very address."""
        return socket.create_connection((self.address, self.port), TIMEOUT_S)


class _PinnedPlain(http.client.HTTPConnection):
    def __init__(self, pinned: _Pinned) -> None:
        super().__init__(pinned.host, pinned.port, timeout=TIMEOUT_S)
        self._pinned = pinned

    def connect(self) -> None:
        self.sock = self._pinned.open()


class _PinnedTls(_PinnedPlain):
    def connect(self) -> None:
        plain = self._pinned.open()
        try:
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self._pinned.host)
        except BaseException:
            plain.close()
            raise
