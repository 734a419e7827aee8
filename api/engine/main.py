"""The engine: claims jobs, takes their locks, plans, runs playbooks, and writes what came of them.

One process, one loop, no threads. Woken by a datagram to `engine.sock`; looks by itself every few seconds too, so that
a lost message costs a moment and nothing else. See docs/engine.md.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from api.config import ConfigError, settings
from api.db.base import utcnow
from api.db.session import database
from api.engine import actions, inventory, jobs, launch, limits, processes, queue, result
from api.engine.actions import Failure, Plan
from api.engine.attempt import settle
from api.engine.keeper import Keeper
from api.engine.launch import Launcher, Run
from api.engine.metrics import METRICS
from api.engine.models import Job
from api.engine.observe import Observation
from api.engine.queue import Claim, LockMemory
from api.engine.result import Ended

if TYPE_CHECKING:
    from api.engine.sentinel import Sentinel

POLL_S = 5.0
STALE_S = 30.0
"""Without a heartbeat for this long, an engine on another host counts as gone."""
INTERACTIVE_EXTRA = 2
"""Runs that someone waits for may exceed the limits by this many."""
PARKED_LIMIT = 64
"""Claimed jobs that wait for a busy host; beyond this nothing is claimed, and further engines get the rest."""
GRACE_S = 10.0
"""For runs under way when the engine is asked to end; after that they are put back."""
CLEANING_EVERY_S = 3600.0

log = logging.getLogger("stratiform.engine")


@dataclass
class Attempt:
    """A claimed job, from its plan to its end."""

    claim: Claim
    hosts: list[str] = field(default_factory=list)
    events_from: int = 0
    run: Run | None = None
    stopped: Failure | None = None
    """Why the engine itself ended the run."""
    ended: Ended | None = None
    """What came of it; kept until that is stored."""
    lost: bool = False
    """Another engine has taken the job over: nothing of this attempt is to be stored."""


class Engine:
    """The loop and what it holds."""

    def __init__(self) -> None:
        self.settings = settings().engine
        if not self.settings.project_dir:
            raise ConfigError("[engine] project_dir is not set; give the folder of the deployed collection")
        self.db = database()
        self.owner = processes.owner_name()
        self.selector = selectors.DefaultSelector()
        self.launcher = Launcher(self.settings.project_dir, self.settings.inventory)
        self.keeper = Keeper(self.launcher, self.selector)
        self.observation = Observation(self.db, self.selector)
        self.sentinel = self._make_sentinel()
        self._observing = False
        self.attempts: dict[int, Attempt] = {}
        self.memory = LockMemory()
        self.stopping_at: float | None = None
        self._woken = True
        self._hosts_changed = False
        self._poll_at = self._clean_at = 0.0
        self._next_at: float | None = None

    def serve(self) -> None:
        """Works until SIGTERM."""
        self._open()
        while self.stopping_at is None or self.attempts:
            for key, _ in self.selector.select(self._timeout()):
                key.data()
            try:
                self._tick()
            except DBAPIError:
                log.exception("the database does not answer; trying again")
                self._woken = True
                time.sleep(1)
        self._close()

    def _open(self) -> None:
        launch.jobs_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
        (settings().state_dir / "ansible" / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
        settings().run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._wake_path = settings().run_dir / "engine.sock"
        self._wake = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        bound = self._wake_path.with_name(f"engine-{os.getpid()}.sock")
        bound.unlink(missing_ok=True)
        self._wake.bind(str(bound))
        bound.chmod(0o666)  # the API runs as another user; all that a message can do is make the engine look
        bound.rename(self._wake_path)
        self.selector.register(self._wake, selectors.EVENT_READ, self._hear)
        self._signals, signal_writer = socket.socketpair()
        self._signal_writer = signal_writer
        signal_writer.setblocking(False)
        signal.set_wakeup_fd(signal_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self.selector.register(self._signals, selectors.EVENT_READ, lambda: self._signals.recv(64))
        log.info("engine %s begins", self.owner)

    def _close(self) -> None:
        self.observation.stop()
        self.keeper.stop()
        signal.set_wakeup_fd(-1)
        for connection in (self._wake, self._signals, self._signal_writer):
            connection.close()
        self._wake_path.unlink(missing_ok=True)
        METRICS.withdraw()
        if self.sentinel is not None:
            self.sentinel.close()
        self.selector.close()
        log.info("engine %s ends", self.owner)

    def _stop(self, *_: object) -> None:
        self.stopping_at = self.stopping_at or time.monotonic() + GRACE_S

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._wake.recv(64)
                self._woken = True

    def _make_sentinel(self) -> Sentinel | None:
        if self.db.is_sqlite:
            return None
        from api.engine.sentinel import Sentinel  # PostgreSQL's driver is no load for SQLite

        return Sentinel(settings().database_url, self.selector, self._wake_up)

    def _wake_up(self) -> None:
        self._woken = True

    def _timeout(self) -> float:
        """Seconds until something is due without a message."""
        if self._woken and self.stopping_at is None:
            return 0.0
        times = [self._poll_at, self.observation.due_at]
        times += [time_ for time_ in (self._next_at, self.stopping_at) if time_ is not None]
        now, clock = time.monotonic(), utcnow()
        for attempt in self.attempts.values():
            if attempt.run is not None and attempt.run.press_at is not None:
                times.append(attempt.run.press_at)
            elif attempt.stopped is None:
                times.append(now + (attempt.claim.deadline_at - clock).total_seconds())
        return min(max(0.0, min(times) - now), POLL_S)

    def _tick(self) -> None:
        now = time.monotonic()
        polling = now >= self._poll_at
        if polling:
            self._poll_at = now + POLL_S
            self._take_over()
            self._publish()
        if self.keeper.step(look=polling):
            self._hosts_changed = self._woken = True
        if polling and self.sentinel is not None:
            self.sentinel.step()
        leads = self.sentinel is None or self.sentinel.leads  # among several engines, one observes
        if self._hosts_changed or leads != self._observing:
            if leads and self.keeper.hosts:
                inventory.sync(self.db, self.keeper.hosts)
            self.observation.follow(self.keeper.hosts if leads else {})
            self._observing, self._hosts_changed = leads, False
        self.observation.step()
        if self.attempts and (polling or self._woken):
            self._watch_over(beating=polling)
        self._end_late()
        self._finish_ended()
        if self.sentinel is None or polling or self._woken:
            self._start_parked()
        look = self._woken or polling or (self._next_at is not None and now >= self._next_at)
        self._woken = False
        if look and self.stopping_at is None:
            self._claim()
        if now >= self._clean_at:
            self._clean_at = now + CLEANING_EVERY_S
            launch.forget_old(self.settings.event_retention_days * 86400)

    def _publish(self) -> None:
        runs = sum(attempt.run is not None for attempt in self.attempts.values())
        METRICS.publish(
            running_runs=runs, parked_jobs=len(self.attempts) - runs, warm_ready=float(self.keeper.path is not None),
            warm_starting=float(self.keeper.may_come), inventory_hosts=len(self.keeper.hosts),
        )  # fmt: skip

    # --- taking jobs ---

    def _claim(self) -> None:
        with self.db.read() as session:
            found = queue.look(session, utcnow())
            ready, waited_for = self.memory.passable(found.ready, session)
        wait = None if found.next_at is None else (found.next_at - utcnow()).total_seconds()
        self._next_at = None if wait is None else time.monotonic() + max(0.0, wait)
        if found.overdue:
            with self.db.write() as session:
                queue.end_overdue(session, found.overdue)
            self._woken = True
        running = [attempt for attempt in self.attempts.values() if attempt.run is not None]
        slots = self.settings.concurrency - len(running)
        if not ready or slots + INTERACTIVE_EXTRA * ready[0].interactive <= 0 or len(self.attempts) >= (
            self.settings.concurrency + PARKED_LIMIT
        ):
            return
        with self.db.write(alone=False) as session:
            claims = queue.claim(
                session, ready, waited_for, owner=self.owner, slots=slots, interactive_slots=INTERACTIVE_EXTRA,
                at_most=len(ready) if self.db.is_sqlite else 1, memory=self.memory,
            )  # fmt: skip
        for claim in claims:
            self.attempts[claim.number] = Attempt(claim)
        for claim in claims:
            self._plan(self.attempts[claim.number])
        self._woken = self._woken or bool(claims)

    def _plan(self, attempt: Attempt) -> None:
        """Plans with the locks held, and starts the run when its hosts have room."""
        claim = attempt.claim
        try:
            plan = self._read_plan(claim)
            attempt.hosts = sorted(plan.hosts)
            attempt.events_from = launch.prepare(claim.id, claim.request_id, claim.action, claim.number, plan.hosts)
        except Exception as error:
            if jobs.is_passing(error):
                attempt.ended = Ended(interrupted=True)
                return
            log.exception("job %s (%s): no plan could be made", claim.id, claim.action)
            attempt.ended = Ended(failure=Failure("engine", jobs.ENGINE_SENTENCE))
            return
        if not attempt.hosts:
            attempt.ended = Ended()
        else:
            self._start(attempt)

    def _read_plan(self, claim: Claim) -> Plan:
        with self.db.read() as session:
            job = session.get_one(Job, claim.number)
            plan = actions.action(claim.action).plan(session, job)
        return Plan({host: modules for host, modules in plan.hosts.items() if modules})

    def _start_parked(self) -> None:
        for attempt in self.attempts.values():
            if attempt.run is None and attempt.ended is None:
                self._start(attempt)

    def _start(self, attempt: Attempt) -> None:
        """Starts the run, unless a host of it has no room or the warm process is just coming."""
        extra = INTERACTIVE_EXTRA * attempt.claim.interactive
        running = [other for other in self.attempts.values() if other.run is not None]
        busy = Counter(host for other in running for host in other.hosts)
        full = len(running) >= self.settings.concurrency + extra
        if full or any(busy[host] >= self.settings.per_host + extra for host in attempt.hosts):
            return
        unknown = [host for host in attempt.hosts if self.keeper.hosts and host not in self.keeper.hosts]
        if unknown:
            sentence = f"{', '.join(unknown)} is not in the inventory: add the host, or remove what is placed there."
            attempt.ended = Ended(failure=Failure("engine", sentence, host=unknown[0]))
            self._woken = True
            return
        if self.sentinel is not None and not limits.admit(
            self.db, attempt.claim.number, attempt.hosts, self.settings.per_host + extra
        ):
            return
        spec = self.launcher.spec(
            attempt.claim.id, attempt.claim.request_id, actions.action(attempt.claim.action).playbook, attempt.hosts
        )
        if self.keeper.path is not None:
            with contextlib.suppress(OSError):  # it has just ended: the next tick sees that
                attempt.run = self.launcher.warm(self.keeper.path, spec)
        elif not self.keeper.may_come:
            attempt.run = self.launcher.cold(spec)
        if attempt.run is not None:
            METRICS.run_began(attempt.claim.id, warm=self.keeper.path is not None)
            self.selector.register(attempt.run, selectors.EVENT_READ, lambda: self._poll_run(attempt))

    # --- ending runs ---

    def _poll_run(self, attempt: Attempt) -> None:
        if attempt.run is None or (code := attempt.run.poll()) is None:
            return
        self.selector.unregister(attempt.run)
        attempt.run.close()
        attempt.run = None
        attempt.ended = result.read(
            launch.jobs_dir() / attempt.claim.id, attempt.events_from, code, attempt.hosts
        )
        METRICS.run_ended(
            attempt.claim.id, actions.action(attempt.claim.action).playbook,
            "interrupted" if attempt.ended.interrupted else "failed" if attempt.ended.failure else "ok",
        )  # fmt: skip

    def _watch_over(self, *, beating: bool) -> None:
        """Heartbeat, cancellations, and jobs that another engine has taken from us."""
        with self.db.read() as session:
            cancelled = jobs.to_cancel(session, self.owner)
        for number in cancelled:
            self._end_attempt(self.attempts.get(number), Failure("cancelled", "The operation was cancelled."))
        if not beating:
            return
        with self.db.write() as session:
            mine = jobs.beat(session, self.owner)
        for number, attempt in self.attempts.items():
            if number not in mine and not attempt.lost:
                log.error("job %s was taken over by another engine; ending its run here", attempt.claim.id)
                attempt.lost = True
                self._end_attempt(attempt, Failure("engine", "Another engine took the operation over."))

    def _end_late(self) -> None:
        now, clock = utcnow(), time.monotonic()
        stop_all = self.stopping_at is not None and clock >= self.stopping_at
        for attempt in self.attempts.values():
            if attempt.run is not None and attempt.run.press_at is not None and clock >= attempt.run.press_at:
                attempt.run.press()
            if attempt.stopped is None and attempt.claim.deadline_at <= now:
                self._end_attempt(attempt, Failure("timeout", "The operation did not end within its time."))
            elif attempt.stopped is None and stop_all:
                self._end_attempt(attempt, None)

    def _end_attempt(self, attempt: Attempt | None, why: Failure | None) -> None:
        """Ends an attempt; without a reason it is to be repeated later."""
        if attempt is None or attempt.stopped is not None or attempt.ended is not None:
            return
        attempt.stopped = why
        if attempt.run is None:
            attempt.ended = Ended(interrupted=True)
        elif attempt.run.press_at is None:
            attempt.run.end()

    def _finish_ended(self) -> None:
        for number, attempt in list(self.attempts.items()):
            if attempt.ended is None:
                continue
            if not attempt.lost:
                settle(self.db, self.owner, attempt.claim, attempt.hosts, attempt.ended, attempt.stopped)
            del self.attempts[number]
            self._woken = True

    # --- engines that are gone ---

    def _take_over(self) -> None:
        """Puts back the jobs of engines that are gone, after ending what may still run of them here."""
        with self.db.read() as session:
            others = jobs.running_elsewhere(session, self.owner)
        for number, job_id, owner, beat in others:
            stale = (utcnow() - beat).total_seconds() > STALE_S
            if not (stale or processes.owner_is_gone(owner)):
                continue
            if not launch.end_former(job_id):
                log.error("job %s: processes of its former run do not end; trying again", job_id)
                continue
            with self.db.write() as session:
                jobs.take_from(session, number, owner, beat)
            self._woken = True


def run() -> None:
    """Runs the engine in the foreground until SIGTERM."""
    Engine().serve()
