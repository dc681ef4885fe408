"""The ways of installing, as the pages print them, in a clean clone. It builds the extension, so it is asked for:
`INSTALL=1`, as continuous integration does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, TYPED, Block, blocks, named

SECONDS = 600
_WAYS = [
    (page, block)
    for page in TYPED
    for block in blocks(page)
    if "test_each_way_of_installing" in block.words.get("tested", "")
    if "zh" not in named(page)  # the same blocks, which tests/docs/test_twins.py sees to
]


@pytest.mark.skipif("INSTALL" not in os.environ, reason="builds celery-rs several times; INSTALL=1 asks for it")
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(("page", "block"), _WAYS, ids=[f"{named(page)}:{block.line}" for page, block in _WAYS])
def test_each_way_of_installing_ends_with_a_command_that_runs(page: Path, block: Block, tmp_path: Path) -> None:
    clone = tmp_path / "celery-rs"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)

    installed = subprocess.run(
        ["bash", "-e", "-c", block.text],
        cwd=clone,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert installed.stdout.splitlines()[-1].startswith("celery-rs ")


def _environment(home: Path) -> dict[str, str]:
    """This machine's, but for this project's environment, of which only uv may be found."""
    ours = Path(sys.executable).parent
    tools = home / "tools"
    tools.mkdir()
    (tools / "uv").symlink_to(ours / "uv")
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != ours]
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    # One compilation serves every way.
    target = os.fspath(ROOT / "target/docs-install")
    return kept | {"PATH": os.pathsep.join([os.fspath(tools), *path]), "CARGO_TARGET_DIR": target}
