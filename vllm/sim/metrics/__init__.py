"""Numbers computed from records. Knows nothing of vLLM."""
