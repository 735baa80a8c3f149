"""The APIs that the gateway speaks to its clients: one module each, and the table of their paths."""
