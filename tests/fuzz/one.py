"""One target under the fuzzer: `.venv/fuzz/bin/python tests/fuzz/one.py TARGET CORPUS [options of libFuzzer or inputs]`.

CORPUS is a folder; the seeds and what was found before are put there first, and what reaches new code is added by the
fuzzer. With `-seed=` the run is bounded and can be repeated: provided that CORPUS is new, the same seed tries the same inputs.
Only this file imports atheris, which runs on Linux and CPython 3.11 to 3.13.
"""

import ctypes
import hashlib
import importlib
import os
import sys
from pathlib import Path

SAME_ADDRESSES = 0x0040000
SAME_HASHES = {"PYTHONHASHSEED": "0"}


def start_again_without_chance() -> None:
    """What libFuzzer mutates next depends on addresses, and sets of Python on the seed of its hashes; both are fixed here.

    A container may forbid the former; then a seed gives nearly the same inputs, not exactly.
    """
    personality = ctypes.CDLL(None).personality
    given = personality(0xFFFFFFFF)
    if not given & SAME_ADDRESSES and personality(given | SAME_ADDRESSES) != -1:
        os.execve(sys.executable, sys.orig_argv, os.environ | SAME_HASHES)


if any(option.startswith("-seed=") for option in sys.argv):
    start_again_without_chance()

import atheris  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("dlms", "cim", "trace", "mapping", "registry", "packs", "process")
sys.path += [str(ROOT / package / "src") for package in (*(f"services/{one}" for one in SERVICES), "hes", "ami")]
sys.path.insert(0, str(Path(__file__).parent))

INSTRUMENTED = [
    "ami_dlms",
    "ami_cim",
    "ami_trace",
    "ami_cli",
    "ami_process",
    "ami_hes.meters",
    "ami_hes.reply_hosts",
    "h11",
]

with atheris.instrument_imports(include=INSTRUMENTED):
    from targets import LATER, TARGETS, Target, findings

    if sys.argv[1] in LATER:
        importlib.import_module(LATER[sys.argv[1]])


def plant(name: str, target: Target, corpus: Path) -> list[str]:
    """The inputs to start from as files, and their list and the words beside the corpus; the options that follow.

    The list gives them an order, which that of a folder is not: it differs from one file system to the next.
    """
    seeds = corpus.with_suffix(".seeds")
    for folder in (corpus, seeds):
        folder.mkdir(parents=True, exist_ok=True)
    known = [*target.seeds(), *(octets for _, found_by, octets in findings() if found_by == name)]
    files = dict.fromkeys(seeds / hashlib.sha1(octets).hexdigest() for octets in known)
    for file, octets in zip(files, dict.fromkeys(known), strict=True):
        file.write_bytes(octets)
    listed = corpus.with_suffix(".list")
    listed.write_text(",".join(map(str, files)))
    options = [f"-max_len={target.longest}", f"-seed_inputs=@{listed}"]
    if target.words:
        dictionary = corpus.with_suffix(".dict")
        dictionary.write_text("".join(f'"{word}"\n' for word in target.words))
        options.append(f"-dict={dictionary}")
    return options


def main() -> None:
    name, corpus, given = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    target = TARGETS[name]
    options = plant(name, target, corpus)
    if any(option.startswith("-seed=") for option in given):
        options += [f"-runs={len(list(target.seeds())) + target.runs}", "-reload=0"]
    inputs = [] if any(not one.startswith("-") for one in given) else [str(corpus)]
    atheris.Setup([sys.argv[0], *options, *given, *inputs], target.take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
