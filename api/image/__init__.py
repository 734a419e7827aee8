"""Image v2: what servers boot from. Rows in the database, bytes as files; see docs/image.md."""
