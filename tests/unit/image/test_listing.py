"""GET /v2/images: filters, order, pages, and who sees what."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event

from api.db.session import database
from api.image.models import Image, ImageProperty, ImageTag

Make = Callable[..., dict[str, Any]]
BORN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def names(client: Any, **query: Any) -> list[str]:
    answer = client.get("/image/v2/images", query_string=query)
    assert answer.status_code == 200, answer.json
    return [image["name"] for image in answer.json["images"]]


@pytest.fixture
def images(cloud: Any) -> None:
    """Five images of `demo`, a minute apart, and those of others that it sees or not."""
    with cloud.write() as session:
        for number, (name, size, status) in enumerate([
            ("a", 100, "active"), ("b,c", 200, "active"), ("debian:12", 300, "active"), ("e", None, "queued"),
            ("in:f", 500, "deactivated"),
        ]):  # fmt: skip
            born = BORN + datetime.timedelta(minutes=number, microseconds=400_000)
            session.add(Image(
                name=name, size=size, status=status, owner=cloud.project_id, created_at=born, updated_at=born,
                disk_format="qcow2" if number % 2 else "raw", container_format="bare", min_ram=number * 64,
                protected=number == 1, tags=[ImageTag(value=f"t{number % 2}"), ImageTag(value="all")],
                properties=[ImageProperty(name="os_distro", value="debian" if number % 2 else "arch")],
            ))  # fmt: skip
        for days, (name, visibility, hidden) in enumerate([
            ("public", "public", False), ("community", "community", False), ("private", "private", False),
            ("hidden", "public", True),
        ], start=1):  # fmt: skip
            session.add(Image(name=name, visibility=visibility, os_hidden=hidden, owner=cloud.other_project_id,
                              created_at=BORN - datetime.timedelta(days=days)))  # fmt: skip


QUERIES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["in:f", "e", "debian:12", "b,c", "a", "public"]),
    ({"name": "a"}, ["a"]),
    ({"name": "debian:12"}, ["debian:12"]),
    ({"name": "eq:in:f"}, ["in:f"]),
    ({"name": 'in:a,"b,c"'}, ["b,c", "a"]),
    ({"name": "nothing"}, []),
    ({"owner": "-"}, []),
    ({"status": "in:queued,deactivated"}, ["in:f", "e", "public"]),
    ({"disk_format": "qcow2"}, ["e", "b,c"]),
    ({"visibility": "public"}, ["public"]),
    ({"visibility": "community"}, ["community"]),
    ({"visibility": "private"}, []),
    ({"visibility": "all"}, ["in:f", "e", "debian:12", "b,c", "a", "public", "community"]),
    ({"os_hidden": "true"}, ["hidden"]),
    ({"protected": "true"}, ["b,c"]),
    ({"size_min": 200, "size_max": 300}, ["debian:12", "b,c"]),
    ({"size": 100}, ["a"]),
    ({"min_ram_min": 256}, ["in:f"]),
    ({"tag": "t1"}, ["e", "b,c"]),
    ({"tag": ["all", "t0"]}, ["in:f", "debian:12", "a"]),
    ({"os_distro": "debian"}, ["e", "b,c"]),
    ({"os_distro": "debian", "name": "e"}, ["e"]),
    ({"no_such_property": "x"}, []),
    ({"created_at": "gt:2026-01-01T00:03:00Z"}, ["in:f"]),
    ({"created_at": "gte:2026-01-01T00:03:00Z"}, ["in:f", "e"]),
    ({"created_at": "2026-01-01T00:02:00Z"}, ["debian:12"]),
    ({"created_at": "lt:2026-01-01T00:01:00Z"}, ["a", "public"]),
    ({"created_at": "lte:2026-01-01T01:01:00+01:00"}, ["b,c", "a", "public"]),
    ({"created_at": "neq:2026-01-01T00:02:00Z", "size_min": 1}, ["in:f", "b,c", "a"]),
    ({"updated_at": "eq:2026-01-01T00:02:00"}, ["debian:12"]),
    ({"sort": "name:asc"}, ["a", "b,c", "debian:12", "e", "in:f", "public"]),
    ({"sort": "size,created_at"}, ["e", "public", "in:f", "debian:12", "b,c", "a"]),
    ({"sort": "size:asc,created_at"}, ["a", "b,c", "debian:12", "in:f", "e", "public"]),
    ({"sort_key": "name"}, ["public", "in:f", "e", "debian:12", "b,c", "a"]),
    ({"sort_key": ["status", "name"], "sort_dir": ["asc", "asc"]}, ["a", "b,c", "debian:12", "in:f", "e", "public"]),
    ({"sort_dir": "asc"}, ["public", "a", "b,c", "debian:12", "e", "in:f"]),
    ({"limit": 2}, ["in:f", "e"]),
    ({"limit": 0}, []),
]
MEANINGLESS: list[dict[str, Any]] = [
    {"limit": "x"}, {"limit": "-1"}, {"sort": "colour"}, {"sort": "name:up"}, {"sort_key": "colour"},
    {"sort_key": "name", "sort_dir": ["asc", "desc"]}, {"sort": "name", "sort_key": "size"}, {"marker": "x"},
    {"visibility": "x"}, {"member_status": "x"}, {"size_min": "x"}, {"created_at": "yesterday"},
    {"created_at": "about:2026-01-01T00:00:00Z"}, {"os_hidden": "maybe"}, {"protected": "x"},
    {"changes-since": "2026-01-01T00:00:00Z"}, {"name": 'in:"a'}, {"size_max": "9" * 30},
]  # fmt: skip


def test_filters_and_order(cloud: Any, images: None) -> None:
    for query, expected in QUERIES:
        assert names(cloud.member, **query) == expected, query


def test_queries_that_mean_nothing_are_400(cloud: Any, images: None) -> None:
    for query in MEANINGLESS:
        answer = cloud.member.get("/image/v2/images", query_string=query)
        assert answer.status_code == 400, query
        assert answer.json["message"]


def test_administrators_see_all_but_others_community_images(cloud: Any, images: None) -> None:
    assert {"private", "public", "a"} <= set(names(cloud.admin))
    assert "community" not in names(cloud.admin)
    assert "community" in names(cloud.admin, visibility="community")


def test_pages_follow_each_other_by_links(cloud: Any, images: None) -> None:
    path, seen = "/v2/images?limit=2&sort=name:asc", []
    for _ in range(3):
        body = cloud.member.get(f"/image{path}").json
        assert body["schema"] == "/v2/schemas/images"
        assert parse_qs(urlsplit(body["first"]).query) == {"limit": ["2"], "sort": ["name:asc"]}
        seen += [image["name"] for image in body["images"]]
        path = body.get("next", "")
    assert seen == ["a", "b,c", "debian:12", "e", "in:f", "public"]
    assert path == ""
    assert cloud.member.get("/image/v2/images").json["first"] == "/v2/images"


def test_a_list_without_limit_comes_in_pages_too(cloud: Any) -> None:
    with cloud.write() as session:
        session.add_all(Image(name=f"i{number}", owner=cloud.project_id) for number in range(30))
    body = cloud.member.get("/image/v2/images?tag=").json
    assert body["images"] == []
    body = cloud.member.get("/image/v2/images").json
    assert len(body["images"]) == 25
    assert len(cloud.member.get(f"/image{body['next']}").json["images"]) == 5


def test_a_list_costs_three_queries_however_long(cloud: Any, images: None) -> None:
    statements: list[str] = []
    cloud.member.get("/image/v2/images")  # the token's own queries are cached
    event.listen(database().engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert len(names(cloud.member)) == 6
    assert len([text for text in statements if "FROM image" in text]) == 3
