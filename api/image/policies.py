"""Image's policy rules, under Glance's names and with its defaults (secure RBAC)."""

from __future__ import annotations

from oslo_policy import policy

ADMIN = "role:admin"
MEMBER = "role:member and project_id:%(project_id)s"
READER = "role:reader and project_id:%(project_id)s"
SEEN_BY_OTHERS = (
    "project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"
)
ADMIN_OR_MEMBER = f"{ADMIN} or ({MEMBER})"
ADMIN_OR_READER = f"{ADMIN} or ({READER})"
ADMIN_OR_VIEWER = f"{ADMIN} or (role:reader and (project_id:%(project_id)s or {SEEN_BY_OTHERS}))"
ADMIN_OR_DOWNLOADER = f"{ADMIN} or (role:member and (project_id:%(project_id)s or {SEEN_BY_OTHERS}))"
ADMIN_OR_SHARED_READER = f"{ADMIN} or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"
METADEF_READER = f"{ADMIN} or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"

_IMAGE = "/v2/images/{image_id}"


def _rule(name: str, check: str, description: str, method: str, path: str) -> policy.DocumentedRuleDefault:
    return policy.DocumentedRuleDefault(
        name, check, description, [{"method": method, "path": path}], scope_types=["project"]
    )


RULES = [
    _rule("add_image", f"{ADMIN} or ({MEMBER} and project_id:%(owner)s)", "Create an image.", "POST", "/v2/images"),
    _rule("get_images", ADMIN_OR_READER, "List the images that the project sees.", "GET", "/v2/images"),
    _rule("get_image", ADMIN_OR_VIEWER, "Show an image.", "GET", _IMAGE),
    _rule("modify_image", ADMIN_OR_MEMBER, "Change an image and its tags.", "PATCH", _IMAGE),
    _rule("delete_image", ADMIN_OR_MEMBER, "Delete an image.", "DELETE", _IMAGE),
    _rule("publicize_image", ADMIN, "Make an image public.", "PATCH", _IMAGE),
    _rule("communitize_image", ADMIN_OR_MEMBER, "Make an image visible to all who know its id.", "PATCH", _IMAGE),
    _rule("upload_image", ADMIN_OR_MEMBER, "Upload an image's bytes.", "PUT", f"{_IMAGE}/file"),
    _rule("download_image", ADMIN_OR_DOWNLOADER, "Download an image's bytes.", "GET", f"{_IMAGE}/file"),
    _rule("deactivate", ADMIN_OR_MEMBER, "Keep an image from being used.", "POST", f"{_IMAGE}/actions/deactivate"),
    _rule("reactivate", ADMIN_OR_MEMBER, "Let an image be used again.", "POST", f"{_IMAGE}/actions/reactivate"),
    _rule("add_member", ADMIN_OR_MEMBER, "Share an image with a project.", "POST", f"{_IMAGE}/members"),
    _rule("get_members", ADMIN_OR_SHARED_READER, "List whom an image is shared with.", "GET", f"{_IMAGE}/members"),
    _rule("get_member", ADMIN_OR_SHARED_READER, "Show one membership.", "GET", f"{_IMAGE}/members/{{member_id}}"),
    _rule("modify_member", f"{ADMIN} or (role:member and project_id:%(member_id)s)",
          "Accept or reject a shared image.", "PUT", f"{_IMAGE}/members/{{member_id}}"),
    _rule("copy_image", ADMIN, "Copy an image to more stores.", "POST", f"{_IMAGE}/import"),
    _rule("delete_image_location", ADMIN_OR_MEMBER, "Delete an image from one of its stores.", "DELETE",
          "/v2/stores/{store_id}/{image_id}"),
    _rule("stores_info_detail", ADMIN, "See where stores are.", "GET", "/v2/info/stores/detail"),
    _rule("tasks_api_access", ADMIN, "Use the tasks.", "GET", "/v2/tasks"),
    _rule("get_tasks", "@", "List tasks.", "GET", "/v2/tasks"),
    _rule("get_task", "@", "Show a task.", "GET", "/v2/tasks/{task_id}"),
    _rule("add_task", "@", "Make a task.", "POST", "/v2/tasks"),
    _rule("delete_member", ADMIN_OR_MEMBER, "Stop sharing with a project.", "DELETE",
          f"{_IMAGE}/members/{{member_id}}"),
    policy.RuleDefault("metadef_default", "", "What anyone may do with metadata definitions."),
    policy.RuleDefault("metadef_admin", ADMIN, "What keeps metadata definitions."),
    *(_rule(name, METADEF_READER, "Read metadata definitions.", "GET", "/v2/metadefs/namespaces") for name in (
        "get_metadef_namespace", "get_metadef_object", "get_metadef_objects", "get_metadef_property",
        "get_metadef_properties", "get_metadef_tag", "get_metadef_tags", "get_metadef_resource_type")),
    *(_rule(name, ADMIN_OR_READER, "List metadata definitions.", "GET", "/v2/metadefs/namespaces") for name in (
        "get_metadef_namespaces", "list_metadef_resource_types")),
    *(_rule(name, "rule:metadef_admin", "Keep metadata definitions.", "POST", "/v2/metadefs/namespaces") for name in (
        *(f"{verb}_metadef_{kind}" for verb in ("add", "modify")
          for kind in ("namespace", "object", "property", "tag", "tags")),
        "delete_metadef_namespace", "delete_metadef_object", "remove_metadef_property", "delete_metadef_tag",
        "delete_metadef_tags", "add_metadef_resource_type_association", "remove_metadef_resource_type_association")
      if name != "modify_metadef_tags"),
]  # fmt: skip
