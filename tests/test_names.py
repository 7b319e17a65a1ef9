"""Names of test modules: the folders of tests stand in one search path, so what one module imports has to exist once."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent


def test_what_tests_import_of_each_other_exists_once() -> None:
    files = list(TESTS.rglob("*.py"))
    names = Counter(path.stem for path in files)
    imported = {
        (path.relative_to(TESTS).as_posix(), node.module)
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    assert ("hes/north/test_outbox.py", "north_bench") in imported
    assert [(where, name) for where, name in sorted(imported) if names[name] > 1] == []
