"""The two process managers that programs run under."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import xmlrpc.client
from collections.abc import Callable
from typing import Any

MARK = "STRATIFORM_UNIT"

Run = Callable[..., tuple[int, str, str]]


class ServiceError(Exception):
    """A program could not be brought to its state; the message says why and what it said last."""


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write_file(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
    os.replace(temporary, path)


class Manager:
    """What both managers can do. Every service is a dictionary in the form of SERVICE_OPTIONS."""

    name = ""

    def __init__(self, run_command: Run, log_directory: str) -> None:
        self._run_command = run_command
        self._log_directory = log_directory

    def run(self, *command: str) -> str:
        """Run a command of the manager; raise ServiceError in its own words."""
        code, out, err = self._run_command(list(command), environ_update={"LC_ALL": "C"})
        if code != 0:
            raise ServiceError(f"{' '.join(command)} failed: {(err or out).strip()}")
        return out

    def log(self, service: dict[str, Any]) -> str:
        return os.path.join(self._log_directory, f"{service['name']}.log")

    def last_words(self, service: dict[str, Any]) -> str:
        """The end of the program's log."""
        try:
            with open(self.log(service), "rb") as file:
                file.seek(max(0, os.path.getsize(self.log(service)) - 2000))
                return file.read().decode(errors="replace").strip()
        except FileNotFoundError:
            return "(it has no log)"

    def unit_path(self, service: dict[str, Any]) -> str:
        raise NotImplementedError

    def render(self, service: dict[str, Any]) -> str:
        raise NotImplementedError

    def pid(self, service: dict[str, Any]) -> int:
        """The main process, 0 when it does not run."""
        raise NotImplementedError

    def prepare(self, units_changed: bool) -> None:
        """Make the manager know the written units."""
        raise NotImplementedError

    def enable(self, service: dict[str, Any], check_mode: bool) -> bool:
        """Have it started at boot; whether that was a change."""
        raise NotImplementedError

    def start(self, service: dict[str, Any]) -> None:
        raise NotImplementedError

    def restart(self, service: dict[str, Any]) -> None:
        raise NotImplementedError

    def remove(self, service: dict[str, Any]) -> None:
        raise NotImplementedError

    def end_own(self, check_mode: bool) -> list[str]:
        """End the manager itself when it runs for us alone; what was done."""
        return []

    def unit_text(self, service: dict[str, Any]) -> str:
        return read(self.unit_path(service))

    def write(self, service: dict[str, Any], text: str) -> None:
        write_file(self.unit_path(service), text)


def systemd_quote(text: str) -> str:
    """One word for ExecStart= and Environment= (systemd.syntax(7), specifiers and variables as they are)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n") + '"'


class Systemd(Manager):
    """Units in /etc/systemd/system; for a Debian package's own unit a drop-in that carries the mark."""

    name = "systemd"

    def unit(self, service: dict[str, Any]) -> str:
        return str(service["systemd_unit"] or f"{service['name']}.service")

    def unit_path(self, service: dict[str, Any]) -> str:
        if service["systemd_unit"]:
            return f"/etc/systemd/system/{service['systemd_unit']}.d/stratiform.conf"
        return f"/etc/systemd/system/{service['name']}.service"

    def render(self, service: dict[str, Any]) -> str:
        environment = "".join(
            f"Environment={systemd_quote(f'{key}={value}')}\n" for key, value in sorted(service["environment"].items())
        )
        if service["systemd_unit"]:
            return f"# Written by Stratiform.\n[Service]\n{environment}"
        after = " ".join(["network-online.target", *(f"{name}.service" for name in service["after"])])
        # A "$" in a command would be a variable of systemd's.
        command = " ".join(systemd_quote(word).replace("$", "$$") for word in service["command"])
        kind = (
            "Type=oneshot\nRemainAfterExit=yes\n"
            if service["kind"] == "oneshot"
            else "Type=exec\nRestart=always\nRestartSec=1\n"
        )
        return (
            f"# Written by Stratiform.\n[Unit]\nDescription={service['description'] or service['name']}\n"
            f"After={after}\nWants=network-online.target\n"
            f"StartLimitIntervalSec=0\n\n[Service]\n{kind}User={service['user']}\nWorkingDirectory={service['directory']}\n{environment}"
            f"ExecStart={command}\nKillMode={'process' if service['keep_children'] else 'mixed'}\n"
            f"TimeoutStopSec={service['stop_timeout_s']}\n"
            f"StandardOutput=append:{self.log(service)}\nStandardError=inherit\n\n[Install]\nWantedBy=multi-user.target\n"
        )

    def pid(self, service: dict[str, Any]) -> int:
        code, out, _ = self._run_command(["systemctl", "show", "-p", "MainPID", "--value", self.unit(service)])
        return int(out.strip() or 0) if code == 0 else 0

    def prepare(self, units_changed: bool) -> None:
        if units_changed:
            self.run("systemctl", "daemon-reload")

    def enable(self, service: dict[str, Any], check_mode: bool) -> bool:
        code, out, _ = self._run_command(["systemctl", "is-enabled", self.unit(service)])
        if code == 0 and out.strip() in ("enabled", "static", "indirect", "alias"):
            return False
        if not check_mode:
            self.run("systemctl", "daemon-reload")
            self.run("systemctl", "enable", "--quiet", self.unit(service))
        return True

    def start(self, service: dict[str, Any]) -> None:
        self.run("systemctl", "start", self.unit(service))

    def restart(self, service: dict[str, Any]) -> None:
        self.run("systemctl", "restart", self.unit(service))

    def remove(self, service: dict[str, Any]) -> None:
        self._run_command(["systemctl", "disable", "--now", self.unit(service)])
        path = self.unit_path(service)
        if os.path.exists(path):
            os.unlink(path)
        if service["systemd_unit"]:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(path))
        self.run("systemctl", "daemon-reload")


def supervisor_quote(text: str) -> str:
    """One word for command= and environment= of supervisor ("%" begins an expansion there)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


class Supervisor(Manager):
    """Programs in /etc/supervisor/conf.d; supervisord is started when it does not run.

    It is spoken to over its own socket, which takes milliseconds, where its client program takes a second.
    """

    name = "supervisor"
    configuration = "/etc/supervisor/supervisord.conf"
    socket = "/var/run/supervisor.sock"
    started_mark = "/etc/supervisor/conf.d/.started-by-stratiform"

    def unit_path(self, service: dict[str, Any]) -> str:
        return f"/etc/supervisor/conf.d/{service['name']}.conf"

    def render(self, service: dict[str, Any]) -> str:
        environment = ",".join(
            f"{key}={supervisor_quote(str(value))}" for key, value in sorted(service["environment"].items())
        )
        command = " ".join(supervisor_quote(word) for word in service["command"])
        group = "false" if service["keep_children"] else "true"
        life = (
            "autorestart=false\nstartsecs=0\nexitcodes=0\npriority=1\n"
            if service["kind"] == "oneshot"
            else "autorestart=true\nstartsecs=1\nstartretries=1000000\npriority=100\n"
        )
        return (
            f"; Written by Stratiform.\n[program:{service['name']}]\ncommand={command}\n"
            f"user={service['user']}\ndirectory={service['directory']}\n"
            f"environment={environment}\n{life}stopwaitsecs={service['stop_timeout_s']}\nstopasgroup=false\nkillasgroup={group}\n"
            f"stdout_logfile={self.log(service)}\nstdout_logfile_maxbytes=20MB\nstdout_logfile_backups=3\nredirect_stderr=true\n"
        )

    def _server(self) -> Any:
        # supervisor's own transport for unix sockets; from Debian's package, so present on every host with a
        # supervisor.
        from supervisor.xmlrpc import SupervisorTransport

        return xmlrpc.client.ServerProxy(
            "http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{self.socket}")
        ).supervisor

    def _is_up(self) -> bool:
        try:
            return bool(self._server().getState()["statename"] == "RUNNING")
        except (OSError, ImportError, xmlrpc.client.Error):
            return False

    def _info(self, name: str) -> dict[str, Any] | None:
        try:
            info: dict[str, Any] = self._server().getProcessInfo(name)
            return info
        except (OSError, ImportError, xmlrpc.client.Error):
            return None

    def pid(self, service: dict[str, Any]) -> int:
        info = self._info(service["name"])
        return int(info["pid"]) if info and info["statename"] in ("RUNNING", "STARTING") else 0

    def prepare(self, units_changed: bool) -> None:
        if not self._is_up():
            self._start_supervisord()
        elif units_changed:
            self._reload()

    def _start_supervisord(self) -> None:
        """A clean environment: what the operator's shell holds is none of the programs' business."""
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": "/root",
        }
        result = subprocess.run(
            ["/usr/bin/supervisord", "-c", self.configuration],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if result.returncode != 0:
            raise ServiceError(f"supervisord does not start: {(result.stderr or result.stdout).strip()}")
        end = time.monotonic() + 30
        while not self._is_up():
            if time.monotonic() > end:
                raise ServiceError(f"supervisord does not answer on {self.socket} after 30 s.")
            time.sleep(0.1)
        write_file(self.started_mark, "make destroy ends a supervisord that was started for Stratiform.\n")

    def _reload(self) -> None:
        """Take the changed units in, as `supervisorctl update` does, but ours alone."""
        server = self._server()
        added, changed, removed = server.reloadConfig()[0]
        for name in [*changed, *removed]:
            self._stop_group(server, name)
            server.removeProcessGroup(name)
        for name in [*added, *changed]:
            server.addProcessGroup(name)

    @staticmethod
    def _stop_group(server: Any, name: str) -> None:
        with contextlib.suppress(xmlrpc.client.Fault):  # it did not run
            server.stopProcessGroup(name, True)

    def enable(self, service: dict[str, Any], check_mode: bool) -> bool:
        return False  # a unit in conf.d is enabled

    def start(self, service: dict[str, Any]) -> None:
        try:
            self._server().startProcess(service["name"], True)
        except xmlrpc.client.Fault as error:
            if "ALREADY_STARTED" not in str(error):
                raise ServiceError(
                    f"{service['name']} does not start ({error.faultString}). "
                    f"Its last words:\n{self.last_words(service)}"
                ) from None

    def restart(self, service: dict[str, Any]) -> None:
        self._stop_group(self._server(), service["name"])
        self.start(service)

    def remove(self, service: dict[str, Any]) -> None:
        if os.path.exists(self.unit_path(service)):
            os.unlink(self.unit_path(service))
        if self._is_up():
            self._reload()

    def end_own(self, check_mode: bool) -> list[str]:
        if not os.path.exists(self.started_mark):
            return []
        if self._is_up() and self._server().getAllProcessInfo():
            return []  # somebody else's programs run under it meanwhile
        if not check_mode:
            if self._is_up():
                self._server().shutdown()
                end = time.monotonic() + 20
                while os.path.exists(self.socket) and time.monotonic() < end:
                    time.sleep(0.1)
            os.unlink(self.started_mark)
        return ["supervisord: ended"]
