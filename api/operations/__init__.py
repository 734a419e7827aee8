"""Operations: the native API over all jobs. List, follow live, cancel, retry, measure (docs/operations.md)."""
