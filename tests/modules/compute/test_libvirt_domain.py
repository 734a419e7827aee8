"""libvirt_domain on a real libvirt, with guests that sit in their BIOS."""

from __future__ import annotations

import subprocess
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

RunModule = Callable[..., dict[str, Any]]
# What shares the machine's libvirt runs one after another.
pytestmark = pytest.mark.xdist_group("libvirt")


def state(server_id: str) -> str:
    """The guest's state in virsh's words."""
    return virsh_text("domstate", server_id)


def virsh_text(*words: str) -> str:
    """What virsh prints."""
    done = subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.strip()


def observed(result: dict[str, Any], guest: dict[str, Any]) -> dict[str, Any]:
    """What the module says of the guest."""
    found: dict[str, Any] = result["ansible_stats"]["data"]["results"][guest["id"]]
    return found


def test_define_start_is_idempotent_and_check_mode_tells_the_same(run_module: RunModule, guest: dict[str, Any]) -> None:
    planned = run_module("libvirt_domain", {"domains": [guest]}, check=True, diff=True)
    assert state(guest["id"]) == ""
    done = run_module("libvirt_domain", {"domains": [guest]}, diff=True)
    assert not done.get("failed"), done
    assert planned["changed"] and done["changed"]
    assert planned["diff"] == done["diff"]
    assert observed(done, guest)["power_state"] == "running"
    assert state(guest["id"]) == "running"
    again = run_module("libvirt_domain", {"domains": [guest]}, diff=True)
    assert not again["changed"], again.get("diff")


def test_a_cold_run_does_the_same(run_module: RunModule, run_module_cold: RunModule, guest: dict[str, Any]) -> None:
    guest["power_state"] = "shutdown"
    planned = run_module("libvirt_domain", {"domains": [guest]}, check=True, diff=True)
    done = run_module_cold("libvirt_domain", {"domains": [guest]}, diff=True)
    assert not done.get("failed"), done
    assert planned["diff"] == done["diff"]
    assert not run_module("libvirt_domain", {"domains": [guest]})["changed"]


def test_hostile_text_stays_text(run_module: RunModule, guest: dict[str, Any]) -> None:
    guest["power_state"] = "shutdown"
    result = run_module("libvirt_domain", {"domains": [guest]})
    assert not result.get("failed"), result
    definition = ET.fromstring(virsh_text("dumpxml", "--inactive", guest["id"]))
    assert definition.findtext("title") == "{{ lookup('pipe', 'id') }} <domain> & é"
    items = definition.findall("metadata/{urn:stratiform:server:1}server/{urn:stratiform:server:1}item")
    assert {item.get("name"): item.text for item in items} == {"project_id": "<x>&'\"", "flavor_name": "m1.tiny"}
    assert result["invocation"] == {}


def test_power_states(run_module: RunModule, guest: dict[str, Any]) -> None:
    guest["shutdown_timeout_s"] = 0
    for power_state, words in (("paused", "paused"), ("running", "running"), ("shutdown", "shut off")):
        guest["power_state"] = power_state
        result = run_module("libvirt_domain", {"domains": [guest]})
        assert not result.get("failed"), result
        assert observed(result, guest)["power_state"] == power_state
        assert state(guest["id"]) == words
    assert observed(result, guest)["outcome"] == "destroyed"


def test_a_soft_reboot_that_is_ignored_becomes_hard_and_is_not_repeated(
    run_module: RunModule, guest: dict[str, Any]
) -> None:
    run_module("libvirt_domain", {"domains": [guest]})
    first_id = virsh_text("domid", guest["id"])
    guest["reboot"] = {"type": "soft", "mark": "job-1", "timeout_s": 1}
    planned = run_module("libvirt_domain", {"domains": [guest]}, check=True, diff=True)
    assert virsh_text("domid", guest["id"]) == first_id
    done = run_module("libvirt_domain", {"domains": [guest]}, diff=True)
    assert done["diff"] == planned["diff"]
    assert observed(done, guest) == {"power_state": "running", "vnc_port": None, "outcome": "hard"}
    second_id = virsh_text("domid", guest["id"])
    assert second_id != first_id
    repeated = run_module("libvirt_domain", {"domains": [guest]})
    assert not repeated["changed"]
    assert observed(repeated, guest)["outcome"] == "hard"
    assert virsh_text("domid", guest["id"]) == second_id


def test_a_changed_definition_keeps_the_reboots_mark(run_module: RunModule, guest: dict[str, Any]) -> None:
    guest["reboot"] = {"type": "hard", "mark": "job-1"}
    run_module("libvirt_domain", {"domains": [guest]})
    guest["title"] = "renamed"
    guest["vnc"] = True
    renamed = run_module("libvirt_domain", {"domains": [guest]}, diff=True)
    assert renamed["changed"] and len(renamed["diff"]) == 1
    assert not run_module("libvirt_domain", {"domains": [guest]})["changed"]


def test_an_interface_is_plugged_into_a_running_guest(run_module: RunModule, guest: dict[str, Any], tap: str) -> None:
    run_module("libvirt_domain", {"domains": [guest]})
    guest["interfaces"] = [{"port_id": str(uuid.uuid4()), "tap": tap, "mac": "fa:16:3e:00:00:01", "mtu": 1450}]
    planned = run_module("libvirt_domain", {"domains": [guest]}, check=True, diff=True)
    assert tap not in virsh_text("domiflist", guest["id"])
    done = run_module("libvirt_domain", {"domains": [guest]}, diff=True)
    assert not done.get("failed"), done
    assert done["diff"] == planned["diff"]
    assert tap in virsh_text("domiflist", guest["id"]) and tap in virsh_text("domiflist", "--inactive", guest["id"])
    assert not run_module("libvirt_domain", {"domains": [guest]})["changed"]


def test_a_guest_that_keeps_an_interface_is_a_sentence_until_it_starts_anew(
    run_module: RunModule, guest: dict[str, Any], tap: str
) -> None:
    interface = {"port_id": str(uuid.uuid4()), "tap": tap, "mac": "fa:16:3e:00:00:02", "mtu": None}
    guest["interfaces"] = [interface]
    run_module("libvirt_domain", {"domains": [guest]})
    guest |= {"interfaces": [], "unplug_timeout_s": 2}
    refused = run_module("libvirt_domain", {"domains": [guest]})
    assert refused["failed"] and "does not let go" in refused["msg"], "the BIOS releases no device"
    guest["reboot"] = {"type": "hard", "mark": "job-1"}
    done = run_module("libvirt_domain", {"domains": [guest]})
    assert not done.get("failed"), done
    assert tap not in virsh_text("domiflist", guest["id"])


def test_vnc_port_is_on_loopback(run_module: RunModule, guest: dict[str, Any]) -> None:
    guest["vnc"] = True
    result = run_module("libvirt_domain", {"domains": [guest]})
    assert observed(result, guest)["vnc_port"] >= 5900
    assert virsh_text("vncdisplay", guest["id"]).startswith("127.0.0.1:")


def test_absent_removes_and_is_fine_when_gone(run_module: RunModule, guest: dict[str, Any]) -> None:
    run_module("libvirt_domain", {"domains": [guest]})
    gone = {"domains": [{"id": guest["id"], "state": "absent"}]}
    planned = run_module("libvirt_domain", gone, check=True, diff=True)
    assert state(guest["id"]) == "running"
    done = run_module("libvirt_domain", gone, diff=True)
    assert done["diff"] == planned["diff"]
    assert state(guest["id"]) == ""
    assert not run_module("libvirt_domain", gone)["changed"]


def test_one_guests_failure_does_not_stop_the_other(
    run_module: RunModule, guest: dict[str, Any], tmp_path: Any
) -> None:
    broken_id = str(uuid.uuid4())
    broken = {
        **guest,
        "id": broken_id,
        "name": f"trial-{broken_id[:8]}",
        "disks": [{"path": str(tmp_path / "missing"), "bus": "virtio"}],
    }
    try:
        result = run_module("libvirt_domain", {"domains": [broken, guest]})
        assert result["failed"]
        assert result["failed_resources"] == [broken_id]
        assert "disk_image" in result["msg"]
        assert observed(result, guest)["power_state"] == "running"
    finally:
        run_module("libvirt_domain", {"domains": [{"id": broken_id, "state": "absent"}]})


def test_a_guest_that_is_not_here_is_a_sentence(run_module: RunModule, libvirt_runs: None) -> None:
    server_id = str(uuid.uuid4())
    result = run_module("libvirt_domain", {"domains": [{"id": server_id, "power_state": "running"}]})
    assert result["failed_resources"] == [server_id]
    assert "not defined on this host" in result["msg"]
