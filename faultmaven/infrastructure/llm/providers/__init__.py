"""Providers: the rows, the registry, and one class for each dialect."""
