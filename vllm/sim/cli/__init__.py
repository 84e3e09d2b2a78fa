"""The command line: one parser, three spellings (``vllm sim``, ``vllm-sim``, ``python -m vllm.sim``)."""
