"""What the simulated devices are. Knows nothing of vLLM."""
