"""Allocation candidates: from which providers a request could be served. Reads; claiming one of them is `claims`.

A request has one group without a suffix, whose classes may come from several providers of a tree (or from a provider
that shares with it by an aggregate), and groups with a suffix, each of which comes from one provider as a whole.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from api.placement.queries import Group, Request
from api.placement.trees import SHARING, Provider, Providers, above

MOST = 1000
"""How many candidates are told at most; a request with many groups has more combinations than anybody reads."""
TRIES = 100_000
"""How many combinations are looked at for one tree at most."""


@dataclass(frozen=True, slots=True)
class Part:
    """How one group would be served: the amounts of each provider, and the providers in the order of their making."""

    suffix: str
    amounts: tuple[tuple[str, str, int], ...]
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Amounts by provider and class, and which providers serve which group."""

    amounts: dict[str, dict[str, int]]
    mappings: dict[str, list[str]]


def matches(provider: Provider, providers: Providers, group: Group) -> bool:
    """Whether a provider by itself has everything that a group asks for."""
    traits = provider.traits
    return (
        _may_serve(provider, providers, group)
        and all(choice & traits for choice in group.required)
        and provider.fits(group.resources)
    )


def _may_serve(provider: Provider, providers: Providers, group: Group) -> bool:
    """Whether a provider may be a part of what serves a group: in the right tree and aggregates, nothing forbidden."""
    if group.in_tree is not None and (
        group.in_tree not in providers or providers[group.in_tree].root_id != provider.root_id
    ):
        return False
    aggregates = provider.aggregates | providers[provider.root_id].aggregates
    return (
        not group.forbidden & provider.traits
        and all(choice & aggregates for choice in group.member_of)
        and not group.not_member_of & aggregates
    )


def find(providers: Providers, request: Request, *, nested: bool) -> list[Candidate]:
    """The candidates, tree by tree. `nested`: providers below a root count too (from 1.29 on)."""
    trees: dict[str, list[Provider]] = defaultdict(list)
    for provider in providers.values():
        if nested or provider.parent_id is None:
            trees[provider.root_id].append(provider)
    sharing = [provider for provider in providers.values() if SHARING in provider.traits]
    most = min(request.limit or MOST, MOST)
    found: list[Candidate] = []
    told: set[tuple[tuple[str, str, int], ...]] = set()
    for root_id, tree in trees.items():
        root = providers[root_id]
        if not request.root_required <= root.traits or request.root_forbidden & root.traits:
            continue
        reach = tree + [other for other in sharing if other.root_id != root_id and _shares(other, tree)]
        for candidate in _of_tree(providers, root_id, reach, request):
            key = tuple(sorted((who, name, n) for who, have in candidate.amounts.items() for name, n in have.items()))
            if key not in told:
                told.add(key)
                found.append(candidate)
            if len(found) >= most:
                return found
    return found


def _shares(provider: Provider, tree: list[Provider]) -> bool:
    return any(provider.aggregates & member.aggregates for member in tree)


def _of_tree(providers: Providers, root_id: str, reach: list[Provider], request: Request) -> Iterator[Candidate]:
    choices = []
    for group in request.groups.values():
        parts = list(_whole(providers, reach, group) if group.suffix else _spread(providers, reach, group))
        if not parts:
            return
        choices.append(parts)
    for combination in itertools.islice(itertools.product(*choices), TRIES):
        used = [provider_id for part in combination for provider_id in part.providers]
        if not any(providers[provider_id].root_id == root_id for provider_id in used):
            continue  # only shared ones: they are a tree of their own
        if _allowed(providers, combination, request):
            candidate = _together(combination)
            if all(providers[provider_id].fits(amounts) for provider_id, amounts in candidate.amounts.items()):
                yield candidate


def _whole(providers: Providers, reach: list[Provider], group: Group) -> Iterator[Part]:
    """A group with a suffix: one provider has it all. Without resources it only chooses a provider."""
    for provider in reach:
        if matches(provider, providers, group):
            amounts = tuple((provider.id, name, amount) for name, amount in group.resources.items())
            yield Part(group.suffix, amounts, (provider.id,))


def _spread(providers: Providers, reach: list[Provider], group: Group) -> Iterator[Part]:
    """The group without a suffix: each class from one provider, the traits from all of those together."""
    able = [
        [(provider.id, name, amount) for provider in reach
         if provider.fits({name: amount}) and _may_serve(provider, providers, group)]
        for name, amount in group.resources.items()
    ]  # fmt: skip
    for amounts in itertools.islice(itertools.product(*able), TRIES):
        chosen = tuple(dict.fromkeys(provider_id for provider_id, _, _ in amounts))
        traits = set().union(*(providers[provider_id].traits for provider_id in chosen))
        if all(choice & traits for choice in group.required):
            yield Part("", amounts, chosen)


def _allowed(providers: Providers, combination: tuple[Part, ...], request: Request) -> bool:
    """Isolation and subtrees."""
    if request.isolate:
        alone = [part.providers[0] for part in combination if part.suffix and part.amounts]
        if len(set(alone)) < len(alone):
            return False
    for suffixes in request.same_subtree:
        chosen = {provider_id for part in combination if part.suffix in suffixes for provider_id in part.providers}
        lines = [set(above(providers, provider_id)) for provider_id in chosen]
        if not any(all(top in line for line in lines) for top in chosen):
            return False
    return True


def _together(combination: tuple[Part, ...]) -> Candidate:
    amounts: dict[str, dict[str, int]] = {}
    for part in combination:
        for provider_id, name, amount in part.amounts:
            of_provider = amounts.setdefault(provider_id, {})
            of_provider[name] = of_provider.get(name, 0) + amount
    return Candidate(amounts, {part.suffix: list(part.providers) for part in combination})
