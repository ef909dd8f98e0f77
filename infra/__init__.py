"""The embedded services: how each is fetched, started, watched, stopped and broken on purpose."""
