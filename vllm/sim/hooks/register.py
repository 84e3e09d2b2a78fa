"""All hooks, and the page about them."""

from __future__ import annotations

from . import (
    cli,
    engine_args,
    engine_core,
    gpu_kernels,
    input_processor,
    model_build,
    online_renderer,
    renderer,
    triton,
)
from .hook import Hook

HOOKS: tuple[Hook, ...] = (
    engine_args.HOOK,
    cli.HOOK,
    triton.HOOK,
    gpu_kernels.HOOK,
    model_build.HOOK,
    renderer.HOOK,
    online_renderer.HOOK,
    input_processor.HOOK,
    engine_core.HOOK,
)


def register_page() -> str:
    """``docs/hooks.md``."""
    lines = [
        "# Hooks",
        "",
        "What the simulator changes in vLLM beyond its extension points. Generated from",
        "`vllm/sim/hooks` by `vllm-sim hooks`; a test keeps it current. The first two are always",
        "installed, the others when an engine is simulated. `Scheduler`, `KVCacheManager` and",
        "`BlockPool` are never patched.",
    ]
    for number, hook in enumerate(HOOKS, start=1):
        lines += [
            "",
            f"## {number}. `{hook.target}`",
            "",
            f"- What: {hook.what}.",
            f"- Why: {hook.why}.",
            f"- Until: {hook.until}.",
        ]
    return "\n".join(lines) + "\n"
