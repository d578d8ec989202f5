"""Files that would not be found where a launch has them read: told before anything is reserved."""

from pathlib import Path

import pytest
from launched import ELSEWHERE, TARGETS, Capture, called, commit, dry
from refusal import check
from small_table import TABLE

from experiments.launch.__main__ import main

OWN = """
import flax.linen as nn
from resjax import Trunk

class Net(Trunk):
    def parts(self, layers):
        return [("main", self.classify)]

    def classify(self, x):
        return nn.Dense(self.classes, name="classifier")(x.reshape(len(x), -1))

def net(classes, layers, /):
    return Net(classes, layers)
"""


def words(config: str, *overrides: str) -> list[str]:
    return ["train", "--config", config, *overrides, "--workdir", "runs"]


def refuse(capsys: Capture, name: str, command: list[str], names: str) -> None:
    capsys.readouterr()
    check(main([*ELSEWHERE[name], "--", *command]), capsys.readouterr().err, names)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_files_outside_of_the_folder_are_refused(
    name: str, notes: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(capsys, name, words(f"{notes.parent}/config.py:8"), f"{notes.parent}/config.py")
    refuse(capsys, name, ["table", f"{notes.parent}/table.py"], f"{notes.parent}/table.py")
    (notes.parent / "sub").mkdir()
    monkeypatch.chdir(notes.parent / "sub")
    refuse(capsys, name, words("../config.py"), "../config.py")
    Path("table.py").write_text(TABLE.replace("config.py", "../config.py"))
    refuse(capsys, name, ["table", "table.py"], "../config.py")
    assert called(notes) == []


def test_a_cluster_that_shares_the_folders_may_be_given_any_file(here: Path, capsys: Capture) -> None:
    assert f"--config {here}/config.py" in dry(capsys, TARGETS["slurm"], *words(f"{here}/config.py"))


def test_a_slice_is_given_what_is_committed(notes: Path, capsys: Capture) -> None:
    Path("new.py").write_text(Path("config.py").read_text())
    refuse(capsys, "tpu-vm", words("new.py"), "new.py")
    commit(notes.parent)
    assert "--config ./new.py:8 " in dry(capsys, ELSEWHERE["tpu-vm"], *words("./new.py:8"))
    Path("config.py").write_text(Path("config.py").read_text() + "# more\n")
    refuse(capsys, "tpu-vm", words("config.py"), "config.py")
    refuse(capsys, "tpu-vm", ["table", "table.py"], "config.py")
    assert called(notes) == []
    for name in ("xpk", "skypilot"):  # this folder goes there, as it is
        dry(capsys, ELSEWHERE[name], *words("config.py"))


def test_a_net_of_one_s_own_goes_with_its_config(here: Path, capsys: Capture) -> None:
    text = Path("config.py").read_text().replace('"residual_mlp", depth=int(depth), width=8', '"net.py:net"')
    Path("config.py").write_text(text)
    commit(here)
    Path("net.py").write_text(OWN)
    refuse(capsys, "tpu-vm", words("config.py"), "net.py")
    commit(here)
    dry(capsys, ELSEWHERE["tpu-vm"], *words("config.py"))


def test_skypilot_leaves_out_what_git_ignores(notes: Path, capsys: Capture) -> None:
    Path(".gitignore").write_text("mine/\n")
    Path("mine").mkdir()
    Path("mine/config.py").write_text(Path("config.py").read_text())
    refuse(capsys, "skypilot", words("mine/config.py"), "git add --force mine/config.py")
    assert called(notes) == []
    dry(capsys, ELSEWHERE["xpk"], *words("mine/config.py"))
    Path(".gitignore").unlink()
    dry(capsys, ELSEWHERE["skypilot"], *words("mine/config.py"))
