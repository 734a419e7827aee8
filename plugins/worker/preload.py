"""Loads what the calls need into the resident worker, and no more: its memory is every host's to pay.

Each process that the worker forks shares these pages, and starts without an import.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from types import ModuleType
from typing import Any

from ansible.module_utils.common import json
from ansible_collections.stratiform.cloud.plugins.worker.calls import SERIALIZATION_PROFILE

log = logging.getLogger("stratiform-worker")

COLLECTION = "ansible_collections.stratiform.cloud.plugins"
# What the engine's requests run. The operators' modules run seldom and would only cost memory here.
TENANT_MODULES = (
    "disk_image",
    "disk_snapshot",
    "guest_console",
    "guest_diagnostics",
    "guest_password",
    "libvirt_domain",
    "network_bridge",
    "network_dhcp",
    "network_router",
    "security_group",
)
# What a call or an observer would import first thing. No connection to libvirt is made before the fork.
# A host without libvirt lacks the guests' code alone.
FIRST_NEEDS = (f"{COLLECTION}.module_utils.compute.domains", f"{COLLECTION}.worker.observer")

# HTTPS, 2 MB, which only an image's download uses: each loads at its first use, in that call's process.
LATE_NEEDS = ("ssl", "http.client", "urllib.error", "urllib.request")


def tenant_modules() -> dict[str, ModuleType]:
    """Import the tenants' modules; one that cannot be imported on this host is left to the ordinary way."""
    for name in LATE_NEEDS:
        load_late(name)
    lean_pyroute2()
    modules = {}
    for name in TENANT_MODULES:
        module = _imported(f"{COLLECTION}.modules.{name}")
        if module is not None:
            modules[name] = module
    for name in FIRST_NEEDS:
        _imported(name)
    # Each loads the code of the profile: half the time of a call that changes nothing.
    json.get_module_decoder(SERIALIZATION_PROFILE, json.Direction.CONTROLLER_TO_MODULE)
    json.get_module_encoder(SERIALIZATION_PROFILE, json.Direction.MODULE_TO_CONTROLLER)
    return modules


def _imported(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        log.warning("%s is not preloaded: %s", name, error)
        return None


class LateModule(ModuleType):
    """Stands in for a module until one of its attributes is used, then takes over that module's content.

    importlib's LazyLoader is no help: in Python 3.11 a second ``import`` of its module loads it.
    """

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        loaded = importlib.import_module(self.__name__)
        self.__dict__.update(loaded.__dict__)
        return getattr(loaded, attribute)


def load_late(name: str) -> None:
    """Have ``import name`` give a stand-in, unless the module is loaded already."""
    if name in sys.modules:
        return
    module = sys.modules[name] = LateModule(name)
    package, _dot, own_name = name.rpartition(".")
    if package:
        setattr(importlib.import_module(package), own_name, module)


def lean_pyroute2() -> None:
    """Load pyroute2's IPRoute without the rest of pyroute2: 3 MB instead of 13.

    The package's own ``__init__`` loads everything it has (a database, asyncio, ...), and its ``lab``, a base class
    for its own tests, loads unittest. A bare package and an empty base class take their places. A version that can't
    be loaded this way is loaded whole, when the first module imports it.
    """
    if "pyroute2" in sys.modules:
        return
    spec = importlib.util.find_spec("pyroute2")
    if spec is None or spec.submodule_search_locations is None:
        return
    package = ModuleType("pyroute2")
    package.__spec__ = spec
    package.__path__ = list(spec.submodule_search_locations)
    lab = ModuleType("pyroute2.lab")
    lab.LAB_API = type("LAB_API", (), {})  # type: ignore[attr-defined]
    sys.modules.update({"pyroute2": package, "pyroute2.lab": lab})
    try:
        importlib.import_module("pyroute2.iproute.linux")
    except (ImportError, AttributeError, TypeError) as error:
        log.info("this version of pyroute2 is loaded whole: %s", error)
        for name in [name for name in sys.modules if name == "pyroute2" or name.startswith("pyroute2.")]:
            del sys.modules[name]
