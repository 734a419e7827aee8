"""The results of a run, test by test, out of the stream that stestr kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

PASSED, FAILED, SKIPPED, MISSING = "passed", "failed", "skipped", "did not run"
_STATUS = {"success": PASSED, "fail": FAILED, "skip": SKIPPED, "xfail": PASSED, "uxsuccess": FAILED,
           "exists": MISSING, "inprogress": MISSING, "unknown": MISSING}  # fmt: skip
_CLASS = re.compile(r"(?:setUpClass|tearDownClass) \((?P<name>[\w.]+)\)")


@dataclass(frozen=True)
class Result:
    name: str
    status: str
    seconds: float
    reason: str
    """Why it was skipped, or the last line of what it failed with; empty when it passed."""
    details: str


def listed(lines: Iterable[str]) -> list[str]:
    r"""The tests that a list names: its lines are regular expressions, a name and `\[`; `#` begins a comment."""
    names = []
    for line in lines:
        text = line.partition("#")[0].strip()
        if text:
            names.append(text.removesuffix("\\[").replace("\\.", "."))
    return names


def plain(test_id: str) -> str:
    """The name without Tempest's `[id-...,tags]`, a scenario's suffix kept."""
    return re.sub(r"\[[^\]]*\]", "", test_id)


def read(stream: BinaryIO) -> list[Result]:
    """The results in a subunit stream."""
    import subunit
    from testtools import StreamToDict

    found: list[Result] = []

    def take(test: dict[str, Any]) -> None:
        found.append(_result(test))

    case = subunit.ByteStreamToStreamResult(stream, non_subunit_name="stdout")
    sink = StreamToDict(take)
    sink.startTestRun()
    try:
        case.run(sink)
    finally:
        sink.stopTestRun()
    return [result for result in found if result.name != "stdout"]


def _result(test: dict[str, Any]) -> Result:
    texts = {name: detail.as_text() for name, detail in test["details"].items() if detail.content_type.type == "text"}
    status = _STATUS[test["status"]]
    began, ended = test["timestamps"]
    seconds = (ended - began).total_seconds() if began and ended else 0.0
    details = texts.get("traceback") or "\n".join(text for name, text in texts.items() if name.startswith("traceback"))
    if status == SKIPPED:
        reason = texts.get("reason", "").strip()
    elif status == FAILED:
        reason = _last_line(details)
    else:
        reason = ""
    return Result(test["id"], status, seconds, reason, details)


def _last_line(traceback: str) -> str:
    """The exception's own words: the first line after the traceback's indented part."""
    lines = traceback.strip().splitlines()
    for index in range(len(lines) - 1, -1, -1):
        if re.match(r"[\w.]+(Error|Exception|Mismatch|[A-Z]\w+)(:|$)", lines[index]):
            return " ".join(line.strip() for line in lines[index:])[:600]
    return lines[-1] if lines else "no traceback"


def settle(wanted: list[str], found: list[Result]) -> list[Result]:
    """A result for each wanted test. When a class failed or was skipped as a whole, its tests share its fate."""
    by_name = {plain(result.name): result for result in found}
    of_class = {match["name"]: result for result in found if (match := _CLASS.match(result.name))}
    settled = []
    for name in wanted:
        own, whole = by_name.get(name), of_class.get(name.rpartition(".")[0])
        if own is not None and own.status != MISSING:
            settled.append(Result(name, own.status, own.seconds, own.reason, own.details))
        elif whole is not None and whole.status in (FAILED, SKIPPED):
            settled.append(Result(name, whole.status, 0.0, f"the class: {whole.reason}", whole.details))
        else:
            settled.append(Result(name, MISSING, 0.0, "no result", ""))
    return settled


def unlisted_failures(wanted: list[str], found: list[Result]) -> list[Result]:
    """Failures that no wanted test stands for: a class that could not tidy up after itself."""
    names = {name.rpartition(".")[0] for name in wanted}
    return [
        result
        for result in found
        if result.status == FAILED and result.name.startswith("tearDownClass")
        and (match := _CLASS.match(result.name)) and match["name"] in names
    ]  # fmt: skip


def report(results: list[Result], tidying: list[Result]) -> str:
    """Failures with their reasons, skips grouped by reason, and the figures."""
    lines = []
    for status in (FAILED, MISSING):
        for result in results:
            if result.status == status:
                lines.append(f"{status.upper()}  {result.name}\n        {result.reason}")
    for result in tidying:
        lines.append(f"FAILED  {result.name}\n        {result.reason}")
    reasons = Counter(result.reason for result in results if result.status == SKIPPED)
    for reason, count in reasons.most_common():
        lines.append(f"SKIPPED {count}: {reason}")
        lines += [f"        {item.name}" for item in results if item.status == SKIPPED and item.reason == reason]
    count = Counter(result.status for result in results)
    figures = [
        f"{count[status]} {status}"
        for status in (PASSED, FAILED, SKIPPED, MISSING)
        if count[status] or status != MISSING
    ]
    took = sum(result.seconds for result in results)
    lines.append(f"{len(results)} tests: {', '.join(figures)} (the tests' own time: {took:.0f} s)")
    return "\n".join(lines)
