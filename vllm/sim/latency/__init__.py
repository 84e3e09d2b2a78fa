"""How long a step takes on the simulated device. Knows nothing of vLLM."""
