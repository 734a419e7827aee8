"""Jobs: queue, runs, events, observation. Knows neither HTTP nor any service by name."""
