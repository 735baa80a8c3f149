"""Calls to language models: values, transport, wire formats, routing, providers."""
