"""docs/api-coverage.md tells what is answered."""

from __future__ import annotations

from api.app import create_app
from tests import api_coverage


def test_the_page_is_true() -> None:
    found = list(api_coverage.operations(create_app()))
    assert api_coverage.PAGE.read_text() == api_coverage.page(found), "run: python -m tests.api_coverage"


def test_a_missing_operation_is_seen() -> None:
    found = {item.line: item for item in api_coverage.operations(create_app())}
    assert found["GET /v2.1/servers/detail"].answered
    assert found["POST /v2.1/servers/{id}/action reboot"].answered
    assert not found["GET /v2.1/os-fping"].answered
