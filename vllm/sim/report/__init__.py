"""Tables, pictures and pages drawn from records. Knows nothing of vLLM."""
