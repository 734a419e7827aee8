"""Documentation that our modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module of the collection supports, and the arguments that its action plugin takes."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Computes the very same difference and applies nothing.
    support: full
  diff_mode:
    description: Returns what differs between the real and the desired state.
    support: full
"""

    REQUEST = r"""
options:
  generation:
    description: The number of the job that this call belongs to. It rises with every job.
    type: int
  request:
    description:
      - Path on the controller of a request document. Its section for this host and module gives the other arguments.
      - Excludes the other arguments. When the document has no such section, the task is skipped.
      - The document is data, nothing in it is templated.
    type: path
  step:
    description: Takes the section C(module#step) of the request document, for playbooks that call one module twice.
    type: str
"""
