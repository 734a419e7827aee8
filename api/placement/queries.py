"""Query strings of placement: filters of providers and the groups of allocation candidates, by microversion."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from api.http.microversions import Version
from api.placement import names
from api.placement.faults import DUPLICATE_KEY, MISSING_VALUE, bad_query

MAX_AMOUNT = 2147483647
_PAIR = re.compile(r"^([A-Z0-9_]{1,255}):([1-9]\d{0,9})$")
_SUFFIXED = re.compile(r"^(resources|required|member_of|in_tree)(.*)$")
_NUMBER = re.compile(r"^[1-9][0-9]*$")
_SUFFIX = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
REPEATABLE = ("member_of", "required")
SINCE: dict[str, Version] = {
    # filters of GET /resource_providers
    "name": (1, 0), "uuid": (1, 0), "member_of": (1, 3), "resources": (1, 4), "in_tree": (1, 14), "required": (1, 18),
}  # fmt: skip
GROUP_SINCE: dict[str, Version] = {"resources": (1, 10), "required": (1, 17), "member_of": (1, 21), "in_tree": (1, 31)}
CANDIDATES_SINCE: dict[str, Version] = {
    "limit": (1, 16), "group_policy": (1, 25), "root_required": (1, 35), "same_subtree": (1, 36),
}  # fmt: skip


@dataclass(slots=True)
class Group:
    """What one group of a request asks for. Each set of `required` and `member_of` needs one of its members."""

    suffix: str = ""
    resources: dict[str, int] = field(default_factory=dict)
    required: list[set[str]] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)
    member_of: list[set[str]] = field(default_factory=list)
    not_member_of: set[str] = field(default_factory=set)
    in_tree: str | None = None


@dataclass(slots=True)
class Request:
    """A request for allocation candidates."""

    groups: dict[str, Group]
    limit: int | None = None
    isolate: bool = False
    root_required: set[str] = field(default_factory=set)
    root_forbidden: set[str] = field(default_factory=set)
    same_subtree: list[set[str]] = field(default_factory=list)


def of_providers(session: Session, args: MultiDict[str, str], version: Version) -> tuple[Group, dict[str, str]]:
    """The filters of GET /resource_providers: what a provider must have, and its plain `name` and `uuid`."""
    group, plain = Group(), {}
    for key in args:
        if key not in SINCE or version < SINCE[key]:
            raise bad_query(f"Invalid query string parameter: {key}.")
        if key == "name":
            plain[key] = _single(args, key)
        elif key == "uuid":
            plain[key] = _uuid(_single(args, key))
        else:
            _fill(group, key, args.getlist(key), version)
    _check_names(session, [group])
    return group, plain


def of_candidates(session: Session, args: MultiDict[str, str], version: Version) -> Request:
    """The query of GET /allocation_candidates."""
    request = Request({})
    for key in args:
        if (since := CANDIDATES_SINCE.get(key)) is not None:
            if version < since:
                raise bad_query(f"Invalid query string parameter: {key}.")
            _fill_request(request, key, args)
            continue
        name, suffix = _group_key(key, version)
        group = request.groups.setdefault(suffix, Group(suffix))
        _fill(group, name, args.getlist(key), version)
    _check_request(request, args, version)
    _check_names(session, list(request.groups.values()), request.root_required | request.root_forbidden)
    return request


def _group_key(key: str, version: Version) -> tuple[str, str]:
    found = _SUFFIXED.match(key)
    if found is None or version < GROUP_SINCE[found[1]]:
        raise bad_query(f"Invalid query string parameter: {key}.")
    name, suffix = found[1], found[2]
    if suffix and (version < (1, 25) or not (_SUFFIX if version >= (1, 33) else _NUMBER).match(suffix)):
        raise bad_query(f"Invalid query string parameter: {key}.")
    return name, suffix


def _fill_request(request: Request, key: str, args: MultiDict[str, str]) -> None:
    if key == "same_subtree":
        for value in args.getlist(key):
            suffixes = set(value.split(","))
            if not all(_SUFFIX.match(suffix) for suffix in suffixes):
                raise bad_query(f"Invalid value for same_subtree: {value[:200]}.")
            request.same_subtree.append(suffixes)
        return
    value = _single(args, key)
    if key == "limit":
        if not re.fullmatch(r"[1-9]\d{0,9}", value):
            raise bad_query("Invalid value for limit: it must be a positive integer.")
        request.limit = int(value)
    elif key == "group_policy":
        if value not in ("none", "isolate"):
            raise bad_query("Invalid value for group_policy: it must be 'none' or 'isolate'.")
        request.isolate = value == "isolate"
    else:
        for trait in _split(value, key):
            (request.root_forbidden if trait.startswith("!") else request.root_required).add(trait.lstrip("!"))
        if both := request.root_required & request.root_forbidden:
            raise bad_query(f"Conflicting required and forbidden traits: {', '.join(sorted(both))}.")


def _check_request(request: Request, args: MultiDict[str, str], version: Version) -> None:
    if not any(group.resources for group in request.groups.values()):
        raise bad_query("At least one of resources or resources{suffix} must be specified.", MISSING_VALUE)
    if version < (1, 25) and "" not in request.groups:
        raise bad_query("The parameter resources is missing.", MISSING_VALUE)
    named = set().union(*request.same_subtree)
    if unknown := named - set(request.groups):
        raise bad_query(f"same_subtree names groups that there are not: {', '.join(sorted(unknown))}.")
    for suffix, group in request.groups.items():
        if not group.resources and suffix not in named:
            raise bad_query(f"There are no resources for the group '{suffix}': add resources{suffix}.", MISSING_VALUE)
    suffixed = [suffix for suffix, group in request.groups.items() if suffix and group.resources]
    if len(suffixed) > 1 and "group_policy" not in args:
        raise bad_query('The "group_policy" parameter is required when specifying more than one suffixed group.',
                        MISSING_VALUE)  # fmt: skip


def _fill(group: Group, key: str, values: list[str], version: Version) -> None:
    """Adds what one parameter (without its suffix) says."""
    repeats = {"member_of": (1, 24), "required": (1, 39)}.get(key)
    if len(values) > 1 and (repeats is None or version < repeats):
        raise bad_query(f"The parameter {key}{group.suffix} is given more than once.", DUPLICATE_KEY)
    for value in values:
        if key == "resources":
            group.resources = _resources(value)
        elif key == "in_tree":
            group.in_tree = _uuid(value)
        elif key == "required":
            _traits(group, value, version)
        else:
            _members(group, value, version)
    certain = {next(iter(choice)) for choice in group.required if len(choice) == 1}
    if both := certain & group.forbidden:
        raise bad_query(f"Conflicting required and forbidden traits: {', '.join(sorted(both))}.")


def _resources(value: str) -> dict[str, int]:
    found = {}
    for pair in value.split(","):
        match = _PAIR.match(pair)
        if match is None or int(match[2]) > MAX_AMOUNT:
            raise bad_query(f"Badly formed resources parameter: '{value[:200]}'. Expected 'CLASS:amount,...'.")
        found[match[1]] = int(match[2])
    return found


def _traits(group: Group, value: str, version: Version) -> None:
    if value.startswith("in:"):
        choice = _split(value[3:], "required")
        if version < (1, 39) or any(name.startswith("!") for name in choice):
            raise bad_query(f"Invalid value for required: '{value[:200]}'.")
        group.required.append(set(choice))
        return
    for name in _split(value, "required"):
        if not name.startswith("!"):
            group.required.append({name})
        elif version < (1, 22) or len(name) == 1:
            raise bad_query(f"Invalid value for required: '{value[:200]}'.")
        else:
            group.forbidden.add(name[1:])


def _members(group: Group, value: str, version: Version) -> None:
    refused = value.startswith("!")
    if refused and version < (1, 32):
        raise bad_query(f"Invalid value for member_of: '{value[:200]}'. Forbidding aggregates begins at 1.32.")
    plain = value.removeprefix("!")
    ids = plain[3:].split(",") if plain.startswith("in:") else [plain]
    aggregates = {_uuid(name) for name in ids}
    if refused:
        group.not_member_of |= aggregates
    else:
        group.member_of.append(aggregates)


def _split(value: str, key: str) -> list[str]:
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise bad_query(f"Invalid query string parameters: '{key}' must be a comma-separated list of names.")
    return parts


def _single(args: MultiDict[str, str], key: str) -> str:
    values = args.getlist(key)
    if len(values) > 1:
        raise bad_query(f"The parameter {key} is given more than once.", DUPLICATE_KEY)
    return values[0]


def _uuid(value: str) -> str:
    """The id in its dashed form."""
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise bad_query(f"Expected a uuid, got '{value[:200]}'.") from None


def _check_names(session: Session, groups: list[Group], more: Iterable[str] = ()) -> None:
    """400 when a trait or a class is asked for that does not exist."""
    classes = {name for group in groups for name in group.resources}
    if unknown := names.unknown_classes(session, classes):
        raise bad_query(f"Invalid resource class in resources parameter: {', '.join(unknown)}.")
    traits = {name for group in groups for choice in group.required for name in choice}
    traits |= {name for group in groups for name in group.forbidden} | set(more)
    names.check_traits(session, traits)
