"""Run Tempest on a list, tell passed, failed and skipped with reasons, and leave nothing behind in the cloud.

Run it by `make interop SERVICE=identity|image|compute|network|volume|object` (the certification's lists),
`SERVICE=all-compute` (everything that Tempest has for a service) or `LIST=file` (names or regular expressions, one a
line).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.interop import config, leftovers, results
from tests.interop.cloud import Cloud
from tests.interop.fixtures import Fixtures

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "output/interop"
PROGRESS = re.compile(r"\{\d+\} .*\.\.\. ")
"""A line of Tempest's that tells a test's end, with the worker's number in front."""


def main() -> None:
    options = arguments()
    listing = options.list or HERE / f"lists/{options.service}.txt"
    if not listing.is_file():
        known = ", ".join(sorted(path.stem for path in (HERE / "lists").glob("*.txt")))
        sys.exit(f"error: there is no list {listing} (known services: {known})")
    folder = (options.output or OUTPUT) / (options.service or listing.stem)
    folder.mkdir(parents=True, exist_ok=True)
    os.umask(0o077)
    wanted = results.listed(listing.read_text().splitlines())
    cloud = Cloud(options.cloud)
    if options.config_only:
        with Fixtures(cloud) as fixtures:
            config.write(folder / "tempest.conf", config.discover(cloud, fixtures, folder))
        print(folder / "tempest.conf")
        return
    before = leftovers.everything(cloud)
    try:
        with Fixtures(cloud) as fixtures:
            config.write(folder / "tempest.conf", config.discover(cloud, fixtures, folder))
            tempest(folder, listing, options.concurrency)
    finally:
        remains = tidy(cloud, before)
    found = last(folder)
    settled, tidying = results.settle(wanted, found), results.unlisted_failures(wanted, found)
    text = results.report(settled, tidying)
    (folder / "report.txt").write_text(text + "\n")
    (folder / "results.json").write_text(json.dumps([asdict(result) for result in settled], indent=1))
    print(f"\n{text}\n{folder}/report.txt")
    if remains:
        print("Left behind in the cloud:", *(f"  {item}" for item in remains), sep="\n")
    sys.exit(bool(remains or tidying or any(result.status in (results.FAILED, results.MISSING) for result in settled)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--service", help="a list of tests/interop/lists")
    which.add_argument("--list", type=Path, help="a file with names of tests")
    parser.add_argument("--cloud", default="stratiform-admin", help="the administrator's entry in clouds.yaml")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--output", type=Path, help="a folder for configuration, logs and results")
    parser.add_argument("--config-only", action="store_true", help="write tempest.conf and end")
    return parser.parse_args()


def tempest(folder: Path, listing: Path, concurrency: int) -> None:
    """Runs the tests, with a line for each on our standard output and all that they said in `run.log`."""
    command = [
        "tempest", "run", "--config-file", str(folder / "tempest.conf"), "--include-list", str(listing.resolve()),
        "--concurrency", str(concurrency),
    ]  # fmt: skip
    (folder / "locks").mkdir(exist_ok=True)
    with (
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
        (folder / "run.log").open("w") as log,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if PROGRESS.match(line):
                print(line, end="", flush=True)


def last(folder: Path) -> list[results.Result]:
    """The results of the last run."""
    with subprocess.Popen(["stestr", "last", "--subunit"], cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        return results.read(process.stdout)


def tidy(cloud: Cloud, before: dict[tuple[str, str], leftovers.Item]) -> list[leftovers.Item]:
    """Removes what the tests left, telling it; returns what is there and was not before."""
    remains = list(leftovers.of_tests(leftovers.settled(cloud, before, 30)))
    if remains:
        print("Tempest left these behind, which are removed now:", *(f"  {item}" for item in remains), sep="\n")
        leftovers.remove(cloud, remains, print)
    return leftovers.settled(cloud, before)


if __name__ == "__main__":
    main()
