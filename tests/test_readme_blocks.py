"""What the pages tell to paste is run by CI, or says why not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def readme(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, ROOT / ".ci/readme", *arguments],
        cwd=root,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_block_of_the_pages_is_run_or_says_why_not() -> None:
    done = readme(ROOT, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("--- README.md:")


def test_ci_runs_the_blocks() -> None:
    assert "\n.ci/readme\n" in (ROOT / ".ci/run").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```\nls\n```", r"README\.md:4: expected a block of sh, python, .*, found no language"),
        ("text\n\n  ```bash\n  ls\n  ```", r"README\.md:6: .*, found bash"),
        ("```sh\nls", r"README\.md:4: expected the end of the block"),
        ("<!-- not run: -->\n```sh\nls\n```", r"README\.md:4: expected a reason"),
        (
            "<!-- not run: slow -->\n\n```sh\nls\n```",
            r"README\.md:5: .*, a block of sh or python",
        ),
        ("<!-- not run: slow -->\n```json\n{}\n```", r"README\.md:5: expected, below `not run`"),
        ("<!-- not run: slow -->", r"README\.md: expected, below `not run`"),
    ],
)
def test_a_block_that_is_neither_run_nor_explained_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"```sh\ntouch made\n```\n{text}\n", encoding="utf-8")
    done = readme(tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(f"{message}.*\n", done.stderr)
    assert not (tmp_path / "made").exists()


PAGES = {
    "README.md": """
<!-- example: first -->
```sh
echo one > made; cd ..
```
1. Then, [as elsewhere](docs/more.md#part):
   ```python
   with open("made", "a") as file:
       print("two", file=file)
   ```
<!-- not run: takes a day -->
<!-- example: third -->
```sh
echo never > made
```
""",
    "docs/more.md": "```sh\necho three >> made\n```\n",
    "benchmarks/README.md": "```sh\ncat made\n```\n```json\n{}\n```\n",
}


def write_pages(root: Path, **more: str) -> None:
    for name, text in (PAGES | more).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def test_blocks_are_run_in_order_in_one_directory(tmp_path: Path) -> None:
    write_pages(tmp_path)
    done = readme(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\none\ntwo\nthree\n" in done.stdout
    assert "--- README.md:13 sh, not run: takes a day\n" in done.stdout


def test_checking_runs_nothing(tmp_path: Path) -> None:
    write_pages(tmp_path)
    assert len(readme(tmp_path, "--check").stdout.splitlines()) == 5
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("command", ["false\ntrue", "false | true", "true && false"])
def test_the_first_block_that_fails_ends_the_run(command: str, tmp_path: Path) -> None:
    write_pages(tmp_path, **{"docs/more.md": f"\n```sh\n{command}\n```\n"})
    done = readme(tmp_path)
    assert (done.returncode, done.stderr) == (1, "docs/more.md:2: exit status 1\n")
    assert "benchmarks" not in done.stdout
