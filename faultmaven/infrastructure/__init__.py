"""What reaches outside the process: the providers, and all that a call to them needs."""
