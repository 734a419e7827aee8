"""The wire contract is tested on the whole API."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from api.services import SERVICES


@pytest.fixture
def services() -> Sequence[str]:
    return SERVICES
