"""Hooks: what has no extension point in vLLM, one small file for each patched module.

Each file ends in a :class:`~.hook.Hook` that says what it patches, why, and when it
can go; ``docs/hooks.md`` is generated from them. A hook that no longer fits the
installed vLLM raises. The scheduler and the block manager are never patched.

Hooks know vLLM and nothing of the simulator: what they call is handed to ``install``.
"""
