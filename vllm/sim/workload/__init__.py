"""Where requests come from: arrivals, sessions, generators. Knows nothing of vLLM."""
