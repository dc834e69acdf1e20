"""The dashboard and the HTTP API of a worker, on one port, from its own event loop, with nothing from the internet."""
