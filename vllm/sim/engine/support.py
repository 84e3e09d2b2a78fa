"""What the simulator cannot honour is refused at start-up, with the reason."""

from __future__ import annotations

from vllm.config import VllmConfig

from ..errors import SettingsError


def refuse_unsupported(config: VllmConfig) -> None:
    """Raise for a configuration whose simulation would be wrong.

    Raises:
        SettingsError: Names the option, the reason and the way out.
    """
    if config.model_config.runner_type != "generate":
        raise SettingsError(
            f"--runner {config.model_config.runner_type}: the simulator answers generation "
            f"requests; a trace has no embeddings or scores to answer with"
        )
    if config.speculative_config is not None:
        raise SettingsError(
            "--speculative-config: speculative decoding is not simulated; leave it out"
        )
    if config.kv_transfer_config is not None:
        raise SettingsError(
            "--kv-transfer-config / --kv-offloading-size: KV transfer is not simulated; "
            "leave it out"
        )
    if config.model_config.is_diffusion:
        raise SettingsError("diffusion language models are not simulated")
