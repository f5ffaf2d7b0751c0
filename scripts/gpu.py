#!/usr/bin/env python3
"""Runs the tests of devices on an NVIDIA GPU, value for value against the CPU.

usage: gpu.py [--build] [COMMAND ...]

Without a driver nothing is built, and it says that it was skipped; DSV_REQUIRE_CUDA=1 makes that a failure. --build only builds, which needs no GPU: what it prints last is the tests' binary, to be taken to
a machine that has one. COMMAND is run in the place of the tests, with the same environment: `gpu.py cargo bench --profile full --features cuda --bench loader -- --part steps`.

Where CUDA_HOME names no toolkit and there is no nvcc, one is put together of PyPI's packages (scripts/cuda.txt) in .cuda/.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cuda"
REQUIREMENTS = ROOT / "scripts" / "cuda.txt"


def say(text):
    print(text, flush=True)


def driver():
    """Why there is no GPU to run on; None where there is one."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1)"
    count = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "there is an NVIDIA driver, but no GPU that it can use"
    return None


def capability():
    """The GPU's compute capability, as 90; that of Hopper where there is none to ask."""
    try:
        asked = subprocess.run(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"], stdout=subprocess.PIPE, text=True)
        return asked.stdout.splitlines()[0].strip().replace(".", "")
    except (OSError, IndexError):
        return "90"


def toolkit():
    """The folder of the toolkit of PyPI's packages, made once for each list of them."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp, home = FOLDER / "cuda.sha256", FOLDER / "home"
    if stamp.exists() and stamp.read_text() == wanted:
        return home
    say("fetching the CUDA toolkit ...")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
    subprocess.run([str(FOLDER / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)], check=True)
    packages = next(FOLDER.glob("lib/python3*/site-packages/nvidia/cu13"))
    libraries, stubs = home / "lib64", home / "lib64" / "stubs"
    stubs.mkdir(parents=True)
    for name in ["bin", "include", "nvvm"]:
        (home / name).symlink_to(packages / name)
    for library in (packages / "lib").glob("lib*"):
        (libraries / library.name).symlink_to(library)
        (libraries / re.sub(r"\.so\..+$", ".so", library.name)).unlink(missing_ok=True)
        (libraries / re.sub(r"\.so\..+$", ".so", library.name)).symlink_to(library)
    # What is linked with where there is no driver: functions of the driver's names, which are never called.
    names = set(re.findall(r"\bCUDAAPI\s+(cu\w+)\s*\(", (packages / "include" / "cuda.h").read_text(errors="replace")))
    versions = set(re.findall(r"#\s*define\s+cu\w+\s+(?:__CUDA_API_\w+\()?(cu\w+_v\d\w*)", (packages / "include" / "cuda.h").read_text(errors="replace")))
    source = stubs / "cuda.c"
    source.write_text("".join(f"int {name}(void) {{ return 999; }}\n" for name in sorted(names | versions)))
    subprocess.run(["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(stubs / "libcuda.so"), str(source)], check=True)
    stamp.write_text(wanted)
    return home


def environment():
    found = dict(os.environ)
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    nvcc = shutil.which("nvcc")
    if home is None and nvcc is not None:
        home = str(Path(nvcc).resolve().parent.parent)
    if home is None:
        home = str(toolkit())
        found.update({"CUDARC_CUDA_VERSION": "13000", "NVCC": f"{home}/bin/nvcc"})
    libraries = [f"{home}/lib64", f"{home}/lib64/stubs"]
    join = lambda name, paths: os.pathsep.join(paths + [path for path in [os.environ.get(name)] if path])
    found.update({"CUDA_HOME": home, "CUDA_PATH": home, "LIBRARY_PATH": join("LIBRARY_PATH", libraries), "LD_LIBRARY_PATH": join("LD_LIBRARY_PATH", libraries[:1])})
    found.setdefault("CUDA_COMPUTE_CAP", capability())
    return found


def main():
    arguments = sys.argv[1:]
    only_build = arguments[:1] == ["--build"]
    why = None if only_build else driver()
    if why is not None:
        say(f"skipped: cuda: {why}")
        return 1 if os.environ.get("DSV_REQUIRE_CUDA") else 0
    environ = environment()
    if arguments and not only_build:
        return subprocess.run(arguments, cwd=ROOT, env=environ).returncode
    command = ["cargo", "test", "--features", "cuda", "--lib"]
    if not only_build:
        environ["DSV_REQUIRE_CUDA"] = "1"
        return subprocess.run(command + ["--", "loader::tests::device", "--nocapture"], cwd=ROOT, env=environ).returncode
    built = subprocess.run(command + ["--no-run"], cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
    sys.stderr.write(built.stderr)
    for binary in re.findall(r"\((.+/deps/dsv-\w+)\)", built.stderr):
        say(str(ROOT / binary))
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
