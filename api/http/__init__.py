"""What every service's HTTP side shares: identity of the caller, policy, faults, microversions, paging, validation."""
