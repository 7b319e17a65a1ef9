"""One target under the fuzzer: `.venv/fuzz/bin/python tests/fuzz/one.py TARGET CORPUS [options of libFuzzer or inputs]`.

CORPUS is a folder; the seeds are put there first, and what reaches new code is added by the fuzzer. Only this file imports
atheris, which runs on Linux and CPython 3.11 to 3.13.
"""

import hashlib
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "services" / package / "src") for package in ("dlms", "cim")]
sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["dlms", "cim"]):
    from targets import TARGETS, Target


def plant(target: Target, corpus: Path) -> list[str]:
    """The seeds as files in the corpus, and beside it the words as a dictionary; the options that follow."""
    corpus.mkdir(parents=True, exist_ok=True)
    for octets in target.seeds():
        (corpus / hashlib.sha1(octets).hexdigest()).write_bytes(octets)
    options = [f"-max_len={target.longest}"]
    if target.words:
        dictionary = corpus.with_suffix(".dict")
        dictionary.write_text("".join(f'"{word}"\n' for word in target.words))
        options.append(f"-dict={dictionary}")
    return options


def main() -> None:
    target, corpus = TARGETS[sys.argv[1]], Path(sys.argv[2])
    options = plant(target, corpus)
    given = sys.argv[3:]
    inputs = [] if any(not one.startswith("-") for one in given) else [str(corpus)]
    atheris.Setup([sys.argv[0], *options, *given, *inputs], target.take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
