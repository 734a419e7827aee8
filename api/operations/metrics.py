"""Prometheus' text (prometheus.io/docs/instrumenting/exposition_formats) of the database and the engines' numbers.

Several processes take part and none keeps a registry: the queue is read from the database, each engine of this host
writes its numbers down (api/engine/metrics.py), and the process that is asked puts them together.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.config import settings
from api.db.base import utcnow
from api.db.hosts import list_hosts
from api.engine import processes
from api.engine.metrics import BOUNDS_S, PREFIX
from api.engine.models import QUEUED, RUNNING, UNFINISHED, Job
from api.operations.following import REGISTRY

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
log = logging.getLogger("stratiform.api")


def text(session: Session) -> bytes:
    """All metrics. prometheus_client is loaded here, so that only the process that is asked carries it."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Everything(Collector):
        def collect(self) -> Iterator[Metric]:
            yield from _queue(session)
            yield from _hosts(session)
            yield from _engines(_documents())
            yield from _streams()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Everything())
    return generate_latest(registry)


def _queue(session: Session) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    jobs = GaugeMetricFamily("stratiform_jobs", "Jobs that have not ended.", labels=["state", "action"])
    rows = session.execute(
        select(Job.state, Job.action, func.count()).where(Job.state.in_(UNFINISHED)).group_by(Job.state, Job.action)
    )
    for state, action, count in rows:
        jobs.add_metric([state, action], count)
    yield jobs
    ages = GaugeMetricFamily("stratiform_oldest_job_age_seconds", "Age of the oldest job.", labels=["state"])
    query = select(Job.state, func.min(Job.created_at)).where(Job.state.in_(UNFINISHED)).group_by(Job.state)
    oldest = {row[0]: row[1] for row in session.execute(query)}
    now = utcnow()
    for state in (QUEUED, RUNNING):
        ages.add_metric([state], (now - oldest[state]).total_seconds() if state in oldest else 0.0)
    yield ages


def _hosts(session: Session) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    up = GaugeMetricFamily("stratiform_host_up", "Whether the host's heartbeats come.", labels=["host"])
    for host in list_hosts(session):
        up.add_metric([host.name], float(host.is_up()))
    yield up


def _streams() -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily(
        "stratiform_event_streams", "Event streams that are open on this host.", value=REGISTRY.count
    )


def _documents() -> list[dict[str, Any]]:
    """What the living engines of this host have written."""
    found = []
    for path in sorted(settings().run_dir.glob(f"{PREFIX}*.json")):
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError):
            log.exception("%s cannot be read", path)
            continue
        if processes.start_ticks(document["pid"]) is not None:
            found.append(document)
    return found


def _engines(documents: list[dict[str, Any]]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily("stratiform_engines", "Engines that run on this host.", value=len(documents))
    counters = {
        "ended": CounterMetricFamily(
            "stratiform_jobs_ended", "Jobs that ended, by result.", labels=["engine", "action", "state"]),
        "retries": CounterMetricFamily(
            "stratiform_job_retries", "Attempts to be repeated.", labels=["engine", "action", "reason"]),
        "runs": CounterMetricFamily(
            "stratiform_runs", "Playbook runs, by result.", labels=["engine", "playbook", "result"]),
    }  # fmt: skip
    began = CounterMetricFamily("stratiform_runs_started", "Playbook runs, by way.", labels=["engine", "way"])
    warm_starts = CounterMetricFamily("stratiform_warm_starts", "Warm processes that began.", labels=["engine"])
    gauges: dict[str, GaugeMetricFamily] = {}
    for document in documents:
        engine = str(document["pid"])
        for name, family in counters.items():
            for first, second, value in document[name]:
                family.add_metric([engine, first, second], value)
        for way, value in document["started"].items():
            began.add_metric([engine, way], value)
        warm_starts.add_metric([engine], document["warm_starts"])
        for name, value in document["gauges"].items():
            if name not in gauges:
                gauges[name] = GaugeMetricFamily(f"stratiform_{name}", "As the engine says.", labels=["engine"])
            gauges[name].add_metric([engine], value)
    yield from counters.values()
    yield began
    yield warm_starts
    yield from gauges.values()
    yield _histogram(documents, "durations", "stratiform_run_duration_seconds", "How long runs took.", "playbook")
    yield _histogram(documents, "waits", "stratiform_job_wait_seconds", "From request to first attempt.", "action")


def _histogram(documents: list[dict[str, Any]], key: str, name: str, words: str, label: str) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, words, labels=["engine", label])
    for document in documents:
        for which, histogram in document[key].items():
            count, buckets = 0, []
            for bound, value in zip((*map(str, BOUNDS_S), "+Inf"), histogram["buckets"], strict=True):
                count += value
                buckets.append((bound, count))
            family.add_metric([str(document["pid"]), which], buckets, histogram["sum_s"])
    return family
