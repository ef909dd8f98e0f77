"""The HTTP interface: parses requests, calls one action or store, and builds the response.

Each module has a function `blueprint(...)` that takes its collaborators as arguments.
blueprints/registration.py calls them all; app/wsgi.py and the tests use it.
"""
