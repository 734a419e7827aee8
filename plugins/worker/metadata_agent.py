"""The metadata agent: answers guests' requests to 169.254.169.254 inside the namespaces of their networks and routers.

Who asks follows from the socket (its namespace) and the source address alone, which the ports' anti-spoofing guards;
no header of the guest counts. What is answered is the control plane's; see docs/contracts.md, "Metadata agent".

Guests ask when they boot. So this process, which stays, only listens; it forks one that has loaded HTTP and TLS and
answers, and lets that one go when nobody has asked for a while.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

# ansible_collections/stratiform/cloud/plugins/worker/metadata_agent.py lies in the tree that holds all our code.
TREE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 5))
sys.path.insert(0, TREE)

from ansible_collections.stratiform.cloud.plugins.worker.metadata_listeners import Listeners, note  # noqa: E402

IDLE_S = 20.0
PATH_BYTES = 4096


class Agent:
    """Listens, and keeps an answering process while guests ask."""

    def __init__(self) -> None:
        self.channel: socket.socket | None = None
        self.listeners: Listeners | None = None
        self.last_use = 0.0

    def run(self) -> None:
        """Have the configuration read, then serve until SIGTERM; raises SystemExit when it is no good."""
        answering = self._start()
        assert self.channel is not None
        # The answering process reads the command line and the configuration, and says where the listeners' files are.
        folder = self.channel.recv(PATH_BYTES)
        if not folder:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(answering, 0)[1]))
        self.listeners = Listeners(os.fsdecode(folder), self._hand_over, self._tick)
        self.listeners.serve()

    def _start(self) -> int:
        """Fork the answering process; its id."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            self._be_answering(ours, theirs)
        theirs.close()
        self.channel = ours
        self.last_use = time.monotonic()
        return pid

    def _be_answering(self, ours: socket.socket, theirs: socket.socket) -> NoReturn:
        """In the child: answer until the channel is closed."""
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            ours.close()
            if self.listeners is not None:
                self.listeners.forget()
            # Imported here: this is what the resident process is to be without.
            from ansible_collections.stratiform.cloud.plugins.worker import metadata_answers

            code = metadata_answers.main(theirs)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _hand_over(self, connection: socket.socket, listener: str, address: str, owner: dict[str, str]) -> None:
        """Give a guest's connection to the answering process, a new one when there is none or it has died."""
        message = json.dumps({"listener": listener, "address": address, "owner": owner}).encode()
        for _attempt in range(2):
            if self.channel is None:
                self._start()
            assert self.channel is not None
            try:
                socket.send_fds(self.channel, [message], [connection.fileno()])
            except OSError as error:
                note(f"the answering process is gone: {error}")
                self._let_go()
            else:
                self.last_use = time.monotonic()
                return

    def _tick(self) -> None:
        """Let an idle answering process go, and take note of those that have ended."""
        if self.channel is not None and time.monotonic() - self.last_use > IDLE_S:
            self._let_go()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return

    def _let_go(self) -> None:
        """Close the channel: the answering process finishes what it has and ends."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    Agent().run()


if __name__ == "__main__":
    main()
