"""The command line: one parser, spelt ``vllm sim``, ``vllm-sim`` or ``python -m vllm.sim``."""
