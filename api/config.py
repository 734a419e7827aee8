"""Settings of the control plane, read once from TOML; see docs/contracts.md, "Configuration"."""

from __future__ import annotations

import dataclasses
import functools
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_PATH = "/etc/stratiform/stratiform.toml"


class ConfigError(Exception):
    """A setting is missing or wrong; the message names the file, the key and what is expected."""


@dataclass(frozen=True)
class EngineSettings:
    """Where runs take place and how many at once."""

    inventory: str = "/etc/stratiform/inventory"
    project_dir: str = ""
    concurrency: int = 8
    per_host: int = 4
    event_retention_days: int = 14


@dataclass(frozen=True)
class NetworkSettings:
    """What tenants' networks are made of. MTU in bytes, of the underlying network."""

    physical_networks: dict[str, str] = field(default_factory=dict)
    vni_range: tuple[int, int] = (1, 16_777_215)
    mtu: int = 1500
    dns_domain: str = "stratiform.internal."


@dataclass(frozen=True)
class ComputeSettings:
    """How far hosts may be overcommitted, the zone of hosts that name none, and how long things wait.

    `image_cache_age_s`: seconds after which a cached image that nothing stands on goes.
    `resize_confirm_window_s`: seconds after which a resize is confirmed by itself; 0 means never.
    `shelved_offload_time_s`: seconds that a shelved server stays on its host; -1 means until it is asked to leave.
    """

    cpu_allocation_ratio: float = 16.0
    memory_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    default_availability_zone: str = "nova"
    image_cache_age_s: int = 86_400
    resize_confirm_window_s: int = 0
    shelved_offload_time_s: int = 0


@dataclass(frozen=True)
class ImageSettings:
    """Limits of image uploads; the stores (id -> folder, the default one first) and whence images are downloaded.

    `web_download_hosts`: `*` is every host with a public address; a host that is named may have any address.
    """

    max_size_bytes: int = 1 << 40
    stores: dict[str, str] = field(default_factory=dict)
    web_download_hosts: tuple[str, ...] = ("*",)
    web_download_ports: tuple[int, ...] = (80, 443)
    import_timeout_s: int = 14_400


@dataclass(frozen=True)
class IdentitySettings:
    """How long tokens live, how many wrong passwords in a row close a user's account for how long (0: never), and what
    passwords have to be. Days and counts of 0 and an empty expression ask for nothing.

    `password_history` counts as OpenStack's unique_last_password_count: the new password included.
    """

    token_lifetime_s: int = 3600
    lockout_failures: int = 10
    lockout_s: int = 60
    password_expires_days: int = 0
    password_minimum_age_days: int = 0
    password_history: int = 0
    password_regex: str = ""
    password_regex_description: str = ""
    change_password_upon_first_use: bool = False


@dataclass(frozen=True)
class OperationsSettings:
    """How many event streams a project may have open, and all projects together (one streams process)."""

    streams_per_project: int = 100
    streams: int = 400


@dataclass(frozen=True)
class Settings:
    """All settings. URLs have no slash at the end."""

    region: str = "RegionOne"
    public_url: str = "https://127.0.0.1:8443"
    internal_url: str = ""
    admin_url: str = ""
    ca_file: str = "/etc/stratiform/pki/ca.crt"
    secrets_file: str = "/etc/stratiform/secrets.toml"
    policy_file: str = "/etc/stratiform/policy.yaml"
    state_dir: Path = Path("/var/lib/stratiform")
    run_dir: Path = Path("/run/stratiform")
    log_dir: Path = Path("/var/log/stratiform")
    database_url: str = "sqlite:////var/lib/stratiform/db/stratiform.db"
    max_body_bytes: int = 1 << 20
    engine: EngineSettings = EngineSettings()
    network: NetworkSettings = NetworkSettings()
    compute: ComputeSettings = ComputeSettings()
    image: ImageSettings = ImageSettings()
    identity: IdentitySettings = IdentitySettings()
    operations: OperationsSettings = OperationsSettings()

    def url(self, interface: str = "public") -> str:
        """The base URL of the catalog interface `public`, `internal` or `admin`."""
        chosen = {"public": self.public_url, "internal": self.internal_url, "admin": self.admin_url}[interface]
        return (chosen or self.public_url).rstrip("/")

    @functools.cached_property
    def _secrets(self) -> dict[str, str]:
        return {key: str(value) for key, value in _read(Path(self.secrets_file)).items()}

    def secret(self, name: str) -> str:
        """A generated secret by name; raises ConfigError when the secrets file lacks it."""
        try:
            return self._secrets[name]
        except KeyError:
            raise ConfigError(f"{self.secrets_file} has no {name!r}; run playbooks/site.yml to generate it") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; run playbooks/site.yml, or name another file") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None


_Section = EngineSettings | NetworkSettings | ComputeSettings | ImageSettings | IdentitySettings | OperationsSettings
_SECTIONS: dict[str, type[_Section]] = {
    "engine": EngineSettings, "network": NetworkSettings, "compute": ComputeSettings, "image": ImageSettings,
    "identity": IdentitySettings, "operations": OperationsSettings}
_PATHS = ("state_dir", "run_dir", "log_dir")


def parse(raw: dict[str, Any], source: str) -> Settings:
    """Settings from a parsed TOML document; unknown keys are errors, so that a typing mistake is found at the start."""
    values = dict(raw)
    database = values.pop("database", {})
    if "url" in database:
        values["database_url"] = database["url"]
    for name, section in _SECTIONS.items():
        options = dict(values.pop(name, {}))
        if unknown := set(options) - {known.name for known in dataclasses.fields(section)}:
            raise ConfigError(f"{source}: [{name}] has no setting {', '.join(sorted(unknown))}")
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        values[name] = section(**options)
    if unknown := set(values) - {known.name for known in dataclasses.fields(Settings)}:
        raise ConfigError(f"{source}: no such setting: {', '.join(sorted(unknown))}")
    values |= {name: Path(values[name]) for name in _PATHS if name in values}
    return Settings(**values)


@functools.cache
def settings() -> Settings:
    """The settings of this process, from the file that STRATIFORM_CONFIG names."""
    path = os.environ.get("STRATIFORM_CONFIG", DEFAULT_PATH)
    return parse(_read(Path(path)), path)
