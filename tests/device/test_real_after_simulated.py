"""A real model runs the same in a process in which a GPU has been simulated."""

from __future__ import annotations

import pytest
import torch
from published_models import resolve
from support.models import save_tiny_llama
from vllm import LLM, SamplingParams

from vllm.sim.engine import platform
from vllm.sim.engine.meta_model import model_facts


@pytest.mark.engine
@pytest.mark.real_model
def test_real_tokens_before_and_after(tmp_path, simulate, folder_of, real_config, monkeypatch):
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    folder = str(save_tiny_llama(tmp_path / "tiny"))

    def real_tokens():
        # CPU attention of this build takes no float32 below AVX-512: bfloat16 runs anywhere.
        llm = LLM(folder, dtype="bfloat16", kv_cache_memory_bytes=1 << 26, enforce_eager=True)
        prompt = {"prompt_token_ids": list(range(3, 40))}
        outputs = llm.generate(prompt, SamplingParams(temperature=0, max_tokens=8), use_tqdm=False)
        assert llm.llm_engine.vllm_config.cache_config.block_size == 128
        llm.llm_engine.engine_core.shutdown()
        return outputs[0].outputs[0].token_ids

    before = real_tokens()
    simulate("h100_sxm")
    for name in ("openai--gpt-oss-20b", "Qwen--Qwen3-0.6B"):
        model_facts(resolve(folder_of(real_config(name))))
    platform.deactivate()
    assert torch.empty(0).device.type == "cpu"
    assert real_tokens() == before
