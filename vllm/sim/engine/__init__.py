"""The side that meets vLLM: platform, executor, KV cache specs, drivers."""
