"""What FaultMaven costs, measured beside floors in one run: `python -m benchmarks sdk`."""
