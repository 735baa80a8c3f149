"""Configuration: the environment, faultmaven.yaml, and how a reload keeps the last good state."""
