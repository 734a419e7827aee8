"""nftables tables stated whole: compared in nft's own spelling, replaced in one transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.command import CommandError, CommandRunner, flag, option
from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import fingerprint, read_json, write_json
from ansible_collections.stratiform.cloud.plugins.module_utils.network import namespaces

_NFT = CommandRunner(
    "nft",
    {
        "stateless": flag("--stateless"),
        "file": option("--file"),
        "list_table": lambda table: ["list", "table", *table.split()],
    },
    package="nftables",
)
_NO_SUCH_TABLE = "No such file or directory"


def _listing(tables: Sequence[str]) -> str:
    """The tables as nft lists them here; those that are not there are left out."""
    parts = []
    for table in tables:
        done = _NFT.run(stateless=True, list_table=table, accept=(0, 1))
        if done.exit_code == 0:
            parts.append(done.stdout)
        elif _NO_SUCH_TABLE not in done.stderr:
            raise CommandError(f"nft list table {table} failed: {done.stderr.strip()}")
    return _sort_elements("".join(parts))


def _sort_elements(listing: str) -> str:
    """Put set and map elements in order: the kernel lists hashed ones in an order of its own."""

    def in_order(found: re.Match[str]) -> str:
        elements = sorted(" ".join(element.split()) for element in found[2].split(","))
        inner = ",\n\t\t\t     ".join(elements)
        return f"{found[1]}{{ {inner} }}"

    return re.sub(r"(elements = )\{([^}]*)\}", in_order, listing)


class WholeTables:
    """Some tables of one namespace (None: the one we are in), which belong to us alone.

    ``cache_path`` keeps nft's spelling of the last desired text, so that a call that changes nothing lists once and
    loads nothing. To learn the spelling of a new text it is loaded into an empty scratch namespace, which also proves
    that the kernel takes it before anything real is touched.
    """

    def __init__(self, tables: Sequence[str], cache_path: str, namespace: str | None = None) -> None:
        self.tables = tables
        self.cache_path = cache_path
        self.namespace = namespace

    def live(self) -> str:
        """What the kernel has."""
        with namespaces.entered(self.namespace):
            return _listing(self.tables)

    def spelled(self, text: str, remember: bool) -> str:
        """A desired text as nft will list it. Raises CommandError when it is refused."""
        key = fingerprint(text)
        cache: Any = read_json(self.cache_path)
        if isinstance(cache, dict) and cache.get("key") == key:
            return str(cache["listing"])
        with namespaces.scratch():
            _NFT.run(file="-", stdin=text)
            listing = _listing(self.tables)
        if remember:
            write_json(self.cache_path, {"key": key, "listing": listing})
        return listing

    def replace(self, text: str) -> None:
        """Replace the tables by ``text`` (empty: remove them) in one transaction."""
        clearing = "".join(f"table {table}\ndelete table {table}\n" for table in self.tables)
        with namespaces.entered(self.namespace):
            _NFT.run(file="-", stdin=clearing + text)
