"""The database: base class of all tables, sessions, migrations, and what the engine observed of the hosts."""
