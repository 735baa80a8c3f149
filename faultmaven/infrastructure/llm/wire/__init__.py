"""Wire formats as pure transforms: no socket, no clock, no environment."""
