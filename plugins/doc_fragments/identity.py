"""Documentation of how the identity modules reach the API."""

from __future__ import annotations


class ModuleDocFragment:
    """Where identity is and as whom to speak to it."""

    DOCUMENTATION = r"""
options:
  cloud:
    description:
      - Name of an entry in C(clouds.yaml), which is looked for in E(OS_CLIENT_CONFIG_FILE), the working directory,
        C(~/.config/openstack) and C(/etc/openstack) of the host that the module runs on. Needs PyYAML there.
      - Taken from E(OS_CLOUD) when neither this nor O(auth) is given.
    type: str
  auth:
    description: Authentication options, as the C(auth) section of an entry in C(clouds.yaml). Goes before that entry's.
    type: dict
    suboptions:
      auth_url:
        description: Identity's URL, with or without C(/v3).
        type: str
      username:
        description: Name of the user.
        type: str
      user_id:
        description: Id of the user, instead of its name.
        type: str
      password:
        description: The user's password.
        type: str
      token:
        description: A token, instead of user and password.
        type: str
      application_credential_id:
        description: Id of an application credential, instead of user and password.
        type: str
      application_credential_secret:
        description: The application credential's secret.
        type: str
      user_domain_id:
        description: Id of the user's domain. Without it and O(auth.user_domain_name), V(default).
        type: str
      user_domain_name:
        description: Name of the user's domain.
        type: str
      project_id:
        description: Id of the project to work in.
        type: str
      project_name:
        description: Name of the project to work in.
        type: str
      project_domain_id:
        description: Id of the project's domain. Without it and O(auth.project_domain_name), V(default).
        type: str
      project_domain_name:
        description: Name of the project's domain.
        type: str
      domain_id:
        description: Id of the domain to work on.
        type: str
      domain_name:
        description: Name of the domain to work on.
        type: str
      system_scope:
        description: V(all) to work on the whole system.
        type: str
        choices: [all]
  ca_cert:
    description: Path of the certificates that the API's one is checked with. Goes before C(cacert) of C(clouds.yaml).
    type: path
  validate_certs:
    description:
      - Whether to check the API's certificate. Goes before C(verify) of C(clouds.yaml); without both it is checked.
    type: bool
  api_timeout_s:
    description: How long to wait for an answer, in seconds.
    type: int
    default: 60
"""
