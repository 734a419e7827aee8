"""Identity v3: who may call, as whom, for which project, domain or the system; and where the services are."""
