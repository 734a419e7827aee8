"""Runs a host's commands: arguments declared once, no shell, messages in the C locale."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Format = Callable[[Any], list[str]]

DEFAULT_TIMEOUT_S = 60.0
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_QUOTED_CHARACTERS = 2000


class CommandError(Exception):
    """A command failed, is not installed, or did not end in time. The text is a sentence for the operator."""


@dataclass(frozen=True)
class Completed:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


def option(name: str) -> Format:
    """``name value``."""
    return lambda value: [name, str(value)]


def joined(prefix: str) -> Format:
    """``prefixvalue``, for options such as ``--user=nobody``."""
    return lambda value: [f"{prefix}{value}"]


def flag(*words: str) -> Format:
    """The words when the value is true, else nothing."""
    return lambda value: list(words) if value else []


class CommandRunner:
    """One program and the formats of the arguments that we give it.

    ``CommandRunner("conntrack", {"delete": flag("-D"), "zone": option("-w")}).run(delete=True, zone=7)`` runs
    ``conntrack -D -w 7``: arguments come in the order in which the call names them, None leaves one out.
    """

    def __init__(self, program: str, formats: Mapping[str, Format], package: str | None = None) -> None:
        self.program = program
        self.formats = formats
        self.package = package or program

    def argv(self, **values: Any) -> list[str]:
        """The command line of a call."""
        words = [self.program]
        for name, value in values.items():
            if value is not None:
                words += self.formats[name](value)
        return words

    def run(
        self,
        *,
        stdin: str | None = None,
        accept: Sequence[int] = (0,),
        timeout_s: float = DEFAULT_TIMEOUT_S,
        **values: Any,
    ) -> Completed:
        """Run the command and wait for its end.

        Raises CommandError when it is missing, when it does not end within ``timeout_s`` seconds, or when its exit
        code is not among ``accept``.
        """
        argv = self.argv(**values)
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                check=False,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C", "PATH": _SEARCH_PATH},
                timeout=timeout_s,
            )
        except FileNotFoundError as error:
            raise CommandError(
                f"{self.program} is not installed on this host: install the package {self.package}."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"{self.program} did not end within {timeout_s:g} s.") from error
        if done.returncode not in accept:
            words = (done.stderr or done.stdout).strip()[:_QUOTED_CHARACTERS]
            raise CommandError(f"{' '.join(argv)} failed with exit code {done.returncode}: {words}")
        return Completed(done.returncode, done.stdout, done.stderr)
