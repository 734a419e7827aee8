"""The metadata agent's answering process: takes guests' connections from the agent and answers them in threads."""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
import threading
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.stratiform.cloud.plugins.worker.metadata_documents import ControlPlane, DocumentStore
from ansible_collections.stratiform.cloud.plugins.worker.metadata_server import RequestHandler

log = logging.getLogger("stratiform-metadata")

DEFAULT_CONFIG = "/etc/stratiform/metadata.toml"
DEFAULT_STATE_DIR = "/var/lib/stratiform/host/metadata"
THREADS = 8
CONNECTIONS_PER_GUEST = 2
# A guest has so long for one request; slower ones are cut off.
REQUEST_DEADLINE_S = 10.0
ENTRIES_IN_MEMORY = 256
MESSAGE_BYTES = 4096


class ConfigError(Exception):
    """The configuration lacks something. The text says what."""


def load(path: str) -> tuple[str, DocumentStore]:
    """The listeners' folder and the store of documents that a configuration file describes."""
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
    return os.path.join(state_dir, "listeners"), DocumentStore(os.path.join(state_dir, "documents"), control_plane)


def main(channel: socket.socket) -> int:
    """Read the command line and the configuration, then answer until the channel is closed; the exit code."""
    parser = argparse.ArgumentParser(description="Stratiform's metadata agent")
    parser.add_argument("--config", default=DEFAULT_CONFIG, help="configuration file")
    try:
        options = parser.parse_args()
    except SystemExit as end:
        return int(end.code or 0)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        folder, store = load(options.config)
    except (ConfigError, OSError, tomllib.TOMLDecodeError) as error:
        print(f"stratiform-metadata: {error}", file=sys.stderr)
        return 1
    channel.send(os.fsencode(folder))
    Answers(store).serve(channel)
    return 0


class Answers:
    """Answers connections, few at once and fewer for one guest."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store
        self.open_connections: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()

    def serve(self, channel: socket.socket) -> None:
        """Answer what comes through the channel; when it is closed, finish what was begun."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="request") as pool:
            while True:
                try:
                    message, descriptors, _flags, _sender = socket.recv_fds(channel, MESSAGE_BYTES, 1)
                except ConnectionResetError:
                    return
                if not message:
                    return
                connection = socket.socket(fileno=descriptors[0])
                request = json.loads(message)
                guest = (request["listener"], request["address"])
                if self._is_welcome(guest):
                    pool.submit(self._handle, connection, guest, request["owner"])
                else:
                    connection.close()
                self.store.drop_idle(ENTRIES_IN_MEMORY)

    def _is_welcome(self, guest: tuple[str, str]) -> bool:
        with self.lock:
            if self.open_connections[guest] >= CONNECTIONS_PER_GUEST:
                return False
            self.open_connections[guest] += 1
            return True

    def _handle(self, connection: socket.socket, guest: tuple[str, str], owner: dict[str, str]) -> None:
        deadline = threading.Timer(REQUEST_DEADLINE_S, _cut_off, [connection])
        deadline.daemon = True
        deadline.start()
        try:
            connection.settimeout(REQUEST_DEADLINE_S)
            RequestHandler(connection, guest[1], owner, self.store)
        except OSError as error:
            log.info("the request of %s broke off: %s", guest[1], error)
        finally:
            deadline.cancel()
            connection.close()
            with self.lock:
                self.open_connections[guest] -= 1
                if self.open_connections[guest] <= 0:
                    del self.open_connections[guest]


def _cut_off(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It was over already.
        return
