"""Queries of the operations API."""

from __future__ import annotations

from api.engine.models import CANCELLED, DONE, FAILED, QUEUED, RUNNING
from api.http.validation import Schema

_TEXT = {"type": "string", "maxLength": 255}

LIST = Schema(
    {
        "type": "object",
        "properties": {
            "state": {"enum": [QUEUED, RUNNING, DONE, FAILED, CANCELLED]},
            "action": _TEXT,
            "request_id": _TEXT,
            "resource_type": _TEXT,
            "resource_id": _TEXT,
            "project_id": _TEXT,
            "user_id": _TEXT,
            "host": _TEXT,
            "all_projects": {"enum": ["true", "false", "True", "False", "1", "0"]},
            "changes_since": {"type": "string", "format": "date-time"},
            "limit": _TEXT,
            "marker": _TEXT,
            "sort_key": _TEXT,
            "sort_dir": _TEXT,
            "sort": _TEXT,
        },
        "additionalProperties": False,
    }
)
