"""The functional suite's connections and site, against a cloud of several hosts (OS_CLIENT_CONFIG_FILE)."""

from tests.functional.conftest import admin, cloud, site

__all__ = ["admin", "cloud", "site"]
