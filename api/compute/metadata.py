"""What a guest may know of itself: OpenStack's and EC2's metadata trees. The config drive holds the same bytes.

Source: Nova's user guide, "Metadata" (formats, versions); EC2's tree as cloud-init's Ec2 datasource walks it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from typing import Any

import orjson
from sqlalchemy.orm import Session

from api.compute import sealing
from api.compute.models import Server
from api.config import settings
from api.network import service as network

OPENSTACK_VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
    "2020-10-14", "latest",
)  # fmt: skip
"""`latest` and the dates of which each added something; all answer with the newest form, which only adds."""
EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04", "latest",
)  # fmt: skip
SEED_BYTES = 512

Documents = dict[str, bytes]


def documents(session: Session, server: Server) -> Documents:
    """Every path that a guest can ask for, without slashes at either end, and what it gets. Listings included."""
    found = openstack_documents(session, server) | ec2_documents(session, server)
    found |= {f"openstack/{version}/password": b"" for version in OPENSTACK_VERSIONS}
    return found | _listings(found)


def _listings(found: Documents) -> Documents:
    """A listing for each folder, as the metadata service has them: a name a line, `/` behind folders in EC2's tree."""
    folders: dict[str, dict[str, bool]] = {}
    for path in found:
        parts = path.split("/")
        for depth in range(len(parts)):
            folder = "/".join(parts[:depth])
            folders.setdefault(folder, {})[parts[depth]] = depth < len(parts) - 1
    listings: Documents = {}
    for folder, names in folders.items():
        if folder in ("", "ec2"):
            lines = [*EC2_VERSIONS]
        elif folder == "openstack":
            lines = [*OPENSTACK_VERSIONS]
        elif folder.startswith("openstack"):
            lines = list(names)
        elif folder.endswith("/public-keys"):
            continue  # it is a document of its own: "0=name"
        else:
            lines = [f"{name}/" if is_folder else name for name, is_folder in names.items()]
        listings[folder] = "\n".join(lines).encode()
    return listings


def openstack_documents(session: Session, server: Server) -> Documents:
    """OpenStack's tree, `openstack/<version>/...`."""
    shared: Documents = {
        "meta_data.json": orjson.dumps(meta_data(session, server)),
        "network_data.json": orjson.dumps(network.network_data(session, server.id)),
        "vendor_data.json": b"{}",
        "vendor_data2.json": b"{}",
    }
    if server.user_data:
        shared["user_data"] = base64.b64decode(server.user_data)
    return {
        f"openstack/{version}/{name}": content for version in OPENSTACK_VERSIONS for name, content in shared.items()
    }


def meta_data(session: Session, server: Server) -> dict[str, Any]:
    """meta_data.json."""
    body: dict[str, Any] = {
        "uuid": server.id,
        "name": server.name,
        "hostname": _fqdn(server),
        "launch_index": server.launch_index,
        "availability_zone": server.availability_zone,
        "project_id": server.project_id,
        "random_seed": base64.b64encode(random_seed(server.id)).decode(),
        "devices": _devices(session, server),
        "dedicated_cpus": [],
    }
    if server.meta:
        body["meta"] = server.meta
    if server.keypair:
        pair = server.keypair
        body["public_keys"] = {pair["name"]: pair["public_key"]}
        body["keys"] = [{"name": pair["name"], "type": pair["type"], "data": pair["public_key"]}]
    return body


def _fqdn(server: Server) -> str:
    domain = settings().network.dns_domain.strip(".")
    return server.hostname if "." in server.hostname or not domain else f"{server.hostname}.{domain}"


def random_seed(server_id: str) -> bytes:
    """SEED_BYTES of entropy for a guest, always the same for a server, so that documents are stable."""
    key = settings().secret("metadata_secret").encode()
    seed = hmac.new(key, f"random_seed:{server_id}".encode(), hashlib.sha512).digest()
    blocks = (hmac.new(seed, bytes([number]), hashlib.sha512).digest() for number in range(SEED_BYTES // 64))
    return b"".join(blocks)


def _devices(session: Session, server: Server) -> list[dict[str, Any]]:
    """The tagged interfaces (microversion 2.32 and later)."""
    ports = network.server_ports(session, [server.id])[server.id]
    return [{"type": "nic", "bus": "pci", "address": "none", "mac": port.mac, "tags": [port.tag]}
            for port in ports if port.tag]  # fmt: skip


def ec2_documents(session: Session, server: Server) -> Documents:
    """EC2's tree under each of its dates."""
    ports = network.server_ports(session, [server.id])[server.id]
    fixed = [ip.address for port in ports for ip in port.fixed_ips if ip.version == 4]
    floating = [view.address for port in ports for view in port.floating_ips]
    floating = [address for address in floating if ipaddress.ip_address(address).version == 4]
    groups = list(dict.fromkeys(name for port in ports for _, name in port.security_groups))
    ec2_id = f"{server.number:08x}"
    tree: dict[str, str] = {
        "ami-id": f"ami-{ec2_id}",
        "ami-launch-index": str(server.launch_index),
        "block-device-mapping/ami": "vda",
        "block-device-mapping/root": "/dev/vda",
        "hostname": _fqdn(server),
        "instance-action": "none",
        "instance-id": f"i-{ec2_id}",
        "instance-type": server.flavor["name"],
        "local-hostname": _fqdn(server),
        "local-ipv4": fixed[0] if fixed else "",
        "placement/availability-zone": server.availability_zone,
        "public-hostname": _fqdn(server),
        "public-ipv4": floating[0] if floating else "",
        "reservation-id": server.reservation_id,
        "security-groups": "\n".join(groups),
    }
    if server.keypair:
        tree["public-keys"] = f"0={server.keypair['name']}"
        tree["public-keys/0/openssh-key"] = server.keypair["public_key"]
    found: Documents = {}
    for version in EC2_VERSIONS:
        found |= {f"{version}/meta-data/{path}": text.encode() for path, text in tree.items()}
        if server.user_data:
            found[f"{version}/user-data"] = base64.b64decode(server.user_data)
    return found


def drive_files(session: Session, server: Server) -> Documents:
    """The config drive's files. EC2's tree is `ec2/<version>/{meta-data.json,user-data}` there, as Nova writes it."""
    files = openstack_documents(session, server)
    if server.secret:
        # Nova tells it by the drive and nowhere else: whatever runs in the guest can read the metadata service.
        told = orjson.dumps(meta_data(session, server) | {"admin_pass": sealing.unseal(server.secret)})
        files |= {path: told for path in files if path.endswith("/meta_data.json")}
    latest = "latest/meta-data/"
    flat = {path.removeprefix(latest): content.decode() for path, content in ec2_documents(session, server).items()
            if path.startswith(latest)}  # fmt: skip
    document = orjson.dumps(_nested(flat))
    for version in ("2009-04-04", "latest"):
        files[f"ec2/{version}/meta-data.json"] = document
        if server.user_data:
            files[f"ec2/{version}/user-data"] = base64.b64decode(server.user_data)
    return files


def _nested(flat: dict[str, str]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, text in flat.items():
        *folders, name = path.split("/")
        if path == "public-keys":
            continue
        target = nested
        for folder in folders:
            target = target.setdefault(folder, {})
        target[name] = text
    return nested


def signature(query: str) -> str:
    """`X-Stratiform-Signature` of a query string: HMAC-SHA256 with the secret `metadata_secret`, in hexadecimal."""
    return hmac.new(settings().secret("metadata_secret").encode(), query.encode(), hashlib.sha256).hexdigest()
