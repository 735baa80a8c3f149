"""FaultMaven: one row of data makes an LLM provider."""

__version__ = "0.1.0"
