"""The metadata agent: answers guests' requests to 169.254.169.254 inside the namespaces of their networks and routers.

Who asks follows from the socket (its namespace) and the source address alone, which the ports' anti-spoofing guards;
no header of the guest counts. What is answered is the control plane's; see docs/contracts.md, "Metadata agent".
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tomllib
from types import FrameType
from typing import NoReturn

# ansible_collections/stratiform/cloud/plugins/worker/metadata_agent.py lies in the tree that holds all our code.
TREE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 5))
sys.path.insert(0, TREE)

from ansible_collections.stratiform.cloud.plugins.worker.metadata_documents import (  # noqa: E402
    ControlPlane,
    DocumentStore,
)
from ansible_collections.stratiform.cloud.plugins.worker.metadata_server import MetadataServer  # noqa: E402

DEFAULT_CONFIG = "/etc/stratiform/metadata.toml"
DEFAULT_STATE_DIR = "/var/lib/stratiform/host/metadata"


class ConfigError(Exception):
    """The configuration lacks something. The text says what."""


def load(path: str) -> MetadataServer:
    """The server that a configuration file describes."""
    with open(path, "rb") as file:
        config = tomllib.load(file)
    secret = config.get("metadata_secret")
    if secret is None and "metadata_secret_file" in config:
        with open(config["metadata_secret_file"], encoding="utf-8") as file:
            secret = file.read().strip()
    if not secret:
        raise ConfigError(f"{path} names no secret: set metadata_secret_file or metadata_secret.")
    if "metadata_url" not in config:
        raise ConfigError(f"{path} names no control plane: set metadata_url.")
    state_dir = config.get("state_dir", DEFAULT_STATE_DIR)
    control_plane = ControlPlane(config["metadata_url"], secret, config.get("ca_file"))
    return MetadataServer(
        os.path.join(state_dir, "listeners"), DocumentStore(os.path.join(state_dir, "documents"), control_plane)
    )


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main() -> None:
    """Read the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser(description="Stratiform's metadata agent")
    parser.add_argument("--config", default=DEFAULT_CONFIG, help="configuration file")
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    try:
        server = load(options.config)
    except (ConfigError, OSError, tomllib.TOMLDecodeError) as error:
        sys.exit(f"stratiform-metadata: {error}")
    server.serve()


if __name__ == "__main__":
    main()
