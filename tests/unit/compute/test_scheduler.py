"""Filters and weighers over hosts that exist in memory only."""

from __future__ import annotations

import time
from typing import Any

import pytest

from api.compute.scheduler import NoValidHost, Wanted, choose
from api.placement.service import HostState

SMALL = {"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}


def host(name: str, **changes: Any) -> HostState:
    values: dict[str, Any] = {
        "host": name, "provider_id": name, "number": 1, "availability_zone": "nova", "is_up": True, "disabled": False,
        "facts": {"hypervisor_up": True, "virt_type": "qemu", "cpu_info": {"arch": "x86_64"}},
        "totals": {"VCPU": 2, "MEMORY_MB": 4096, "DISK_GB": 50}, "ratios": {"VCPU": 2.0}, "used": {},
    }  # fmt: skip
    return HostState(**(values | changes))


def refusal(state: HostState, **wanted: Any) -> str:
    with pytest.raises(NoValidHost) as caught:
        choose([state], Wanted(**({"resources": dict(SMALL)} | wanted)), 1)
    return caught.value.reasons[state.host]


def test_each_filter_says_why() -> None:
    assert "disabled" in refusal(host("h", disabled=True))
    assert "no heartbeat" in refusal(host("h", is_up=False))
    assert "libvirt does not answer" in refusal(host("h", facts={"hypervisor_up": False}))
    assert "not reported its capacity" in refusal(host("h", totals={}))
    assert refusal(host("h"), zone="other") == "it is in availability zone nova, other was asked for"
    assert refusal(host("h"), host="g") == "g was asked for"
    assert "the image is for aarch64" in refusal(host("h"), image_properties={"hw_architecture": "aarch64"})
    assert "the image asks for kvm" in refusal(host("h"), image_properties={"img_hv_type": "kvm"})
    assert refusal(host("h", used={"MEMORY_MB": 3800})) == "296 MB of memory free, 512 wanted"
    assert "VCPUs free" in refusal(host("h"), resources=SMALL | {"VCPU": 3})


def test_ratios_overcommit_but_nothing_is_bigger_than_the_host() -> None:
    assert choose([host("h", used={"VCPU": 3})], Wanted(dict(SMALL)), 1) == ["h"]
    assert "VCPUs free" in refusal(host("h", used={"VCPU": 4}))


def test_the_emptiest_host_wins_and_equal_servers_spread() -> None:
    assert choose([host("a", used={"MEMORY_MB": 1024}), host("b")], Wanted(dict(SMALL)), 1) == ["b"]
    assert sorted(choose([host("a"), host("b")], Wanted(dict(SMALL)), 4)) == ["a", "a", "b", "b"]
    assert choose([host("a"), host("b")], Wanted(dict(SMALL), building={"a": 3}), 1) == ["b"]


def test_all_find_a_place_or_none() -> None:
    with pytest.raises(NoValidHost) as caught:
        choose([host("a"), host("b", is_up=False)], Wanted(dict(SMALL)), 5)
    assert caught.value.details == "a: 0 VCPUs free, 1 wanted\nb: it is down: no heartbeat for a minute"


def test_no_hosts_at_all_is_told_too() -> None:
    with pytest.raises(NoValidHost) as caught:
        choose([], Wanted(dict(SMALL)), 1)
    assert caught.value.details == "The inventory has no compute hosts."


def test_a_thousand_hosts_are_quick() -> None:
    states = [host(f"h{number}", used={"VCPU": number % 3}) for number in range(1000)]
    started = time.process_time()
    choose(states, Wanted(dict(SMALL)), 1)
    assert time.process_time() - started < 0.05
