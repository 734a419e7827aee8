"""Stands in for `ansible-playbook`: lets the warm process run this command line, and ends with its exit code.

Started as `python -I -S warm_client.py <socket> <arguments of ansible-playbook>...` by ansible-runner. It hands over
the working directory, arguments, environment and stdio. Only built-in modules: `socket` would double its time.
"""

import _socket
import posix
import sys

KILLED = 137
"""What a shell says of a process that got SIGKILL: the warm process went away during the run."""


def main() -> int:
    """Runs the command; its exit code."""
    path, arguments = sys.argv[1], [b"ansible-playbook", *map(bytes_of, sys.argv[2:])]
    variables = [name + b"=" + value for name, value in posix.environ.items()]
    message = b"\0".join([b"play", bytes_of(posix.getcwd()), b"%d" % len(arguments), *arguments, *variables])
    stdio = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        connection.connect(path)
        connection.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, stdio)])
        answer = connection.recv(16)
    except OSError:
        return KILLED
    return int(answer) if answer else KILLED


def bytes_of(text: str) -> bytes:
    """What the operating system meant by this argument or path."""
    return text.encode(sys.getfilesystemencoding(), "surrogateescape")


if __name__ == "__main__":
    sys.exit(main())
