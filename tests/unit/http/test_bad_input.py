"""Every operation that takes a body is driven with generated JSON: a fault of the service's own at worst, never a 500.

STRATIFORM_FUZZ_EXAMPLES sets how many bodies each operation gets (4 when not given, which takes half a minute).
"""

from __future__ import annotations

import os
import re
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .test_fault_paths import BODYLESS, PATCH_TYPE, UNKNOWN, VERSIONS, complaint, resource_body

EXAMPLES = int(os.environ.get("STRATIFORM_FUZZ_EXAMPLES", "4"))
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30), st.sampled_from(["", "\0", "a" * 300, UNKNOWN, "10.0.0.0/8", "::1", "true", "-1", "../x"]),
)  # fmt: skip
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


def mutated(body: Any, data: Any) -> Any:
    """The valid body with one or more of its values replaced, or fields added: what comes past the first checks."""
    if isinstance(body, dict) and body and data.draw(st.integers(0, 4)):
        changed = dict(body)
        key = data.draw(st.sampled_from(sorted(changed)))
        changed[key] = mutated(changed[key], data)
        if data.draw(st.booleans()):
            changed[data.draw(st.text(max_size=8))] = data.draw(VALUES)
        return changed
    return data.draw(JSON)


def test_generated_bodies_never_fail_the_server(cloud: Any) -> None:
    wrong: dict[str, str] = {}
    client = cloud.admin
    targets = [
        (method, str(rule), resource_body(method, rule))
        for rule in sorted(cloud.app.url_map.iter_rules(), key=str)
        for method in sorted({"POST", "PUT", "PATCH"} & (rule.methods or set()))
        if not BODYLESS.search(f"{method} {rule}") and len(str(rule).split("/")) > 3
    ]

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data())
    def drive(data: Any) -> None:
        for method, rule, valid in targets:
            service = rule.split("/")[1]
            path = re.sub(r"<[^>]+>", UNKNOWN, rule)
            headers = {"OpenStack-API-Version": VERSIONS[service]} if service in VERSIONS else {}
            kind = PATCH_TYPE if service == "image" and method == "PATCH" else "application/json"
            body = mutated(valid, data)
            answer = client.request(method, path, json=body, headers=headers | {"Content-Type": kind})
            if answer.status_code >= 400 and (found := complaint(service, answer)):
                wrong.setdefault(f"{method} {rule}", f"{answer.status_code} {found}: {str(body)[:300]}")

    drive()
    assert not wrong, "\n".join(f"{name}: {what}" for name, what in wrong.items())
