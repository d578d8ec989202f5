"""Folders that a run cannot use, and full disks: one sentence, and nothing that was saved is touched."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest
from refusal import check, refuse, refuse_to_train, write

from resjax.__main__ import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recipe.py and its finished run: 12 steps, checkpoints 10 and 12."""
    folder = tmp_path_factory.mktemp("finished")
    command = ["train", "--config", str(write(folder)), "--workdir", str(folder / "run"), "--quiet"]
    assert main(command) == 0
    return folder


@pytest.fixture
def recipe(finished: Path) -> Path:
    return finished / "recipe.py"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, for a test to damage."""
    return shutil.copytree(finished / "run", tmp_path / "run")


@pytest.fixture
def stopped(run: Path) -> Path:
    """A run that was stopped behind step 10."""
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints" / "12")
    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refuse_untouched(capsys: Capture, folder: Path, verb: str, *flags: object, said: tuple[str, ...]) -> None:
    """Runs a command that must be refused and change nothing in the folder."""
    before, quiet = contents(folder), ["--quiet"] if verb == "train" else []
    refuse(capsys, verb, "--workdir", folder, *quiet, *flags, said=said)
    assert contents(folder) == before


@pytest.mark.parametrize("inside", ["", "run", "a/b/run"])
def test_a_folder_below_a_file_is_refused(tmp_path: Path, recipe: Path, capsys: Capture, inside: str) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    said = ("--workdir", str(file / inside))
    refuse(capsys, "train", "--config", recipe, "--workdir", file / inside, said=said)
    assert file.read_text() == "precious"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc, where nobody can write")
def test_a_folder_that_cannot_be_made_is_refused(recipe: Path, capsys: Capture) -> None:
    refuse_to_train(capsys, recipe, Path("/proc/resjax/run"), said=("--workdir", "/proc/resjax/run"))


def test_an_empty_name_is_no_folder(
    tmp_path: Path, recipe: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an unset variable in a script; it must not fill the current folder."""
    monkeypatch.chdir(tmp_path)
    refuse(capsys, "train", "--config", recipe, "--workdir", "", said=("--workdir",))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("state", ["run", "stopped"])
@pytest.mark.parametrize(
    ("flag", "said"),
    [("--config.seed=3", r"config\.seed = 0, not 3"), ("--config.model.width=9", r"model\.width = 8, not 9")],
)
def test_another_config_s_folder_is_refused(
    recipe: Path, capsys: Capture, request: pytest.FixtureRequest, state: str, flag: str, said: str
) -> None:
    folder = request.getfixturevalue(state)
    patterns = (str(folder), said, "another folder")
    refuse_untouched(capsys, folder, "train", "--config", recipe, flag, said=patterns)


def test_a_folder_in_use_is_refused(stopped: Path, recipe: Path, capsys: Capture) -> None:
    with filelock.FileLock(stopped / ".lock"):
        refuse_untouched(capsys, stopped, "train", "--config", recipe, said=("in use", "another folder"))


@pytest.mark.parametrize(
    ("flag", "checkpoint", "said"),
    [
        ("--config.model.width=9", "last", r"float32\[8\] there, float32\[9\]"),
        ("--config.model.depth=6", "12", "block2.* absent there"),
        ("--config.optim.name=adam", "best", "opt_state.*(there|absent)"),
    ],
)
def test_another_model_s_checkpoint_is_refused(
    run: Path, recipe: Path, capsys: Capture, flag: str, checkpoint: str, said: str
) -> None:
    flags = ("--config", recipe, flag, "--checkpoint", checkpoint)
    refuse_untouched(capsys, run, "eval", *flags, said=("checkpoint 1", "another model", said, "--workdir"))


@pytest.mark.parametrize("name", ["7", "lats", "²"])
def test_an_unknown_checkpoint_is_refused(run: Path, capsys: Capture, name: str) -> None:
    said = (f"checkpoint '{name}' is not there", r"last, best or one of the steps \[10, 12\]")
    refuse_untouched(capsys, run, "eval", "--checkpoint", name, said=said)


def test_an_empty_split_is_refused(run: Path, recipe: Path, capsys: Capture) -> None:
    flags = ("--config", recipe, "--config.data.holdout=0", "--split", "validation")
    refuse_untouched(capsys, run, "eval", *flags, said=("validation split", r"config\.data\.holdout"))


def test_evaluating_an_absent_or_empty_folder_is_refused(tmp_path: Path, capsys: Capture) -> None:
    for folder in (tmp_path / "absent", tmp_path):
        refuse(capsys, "eval", "--workdir", folder, said=(str(folder), "no run", r"config\.json"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("empty", [True, False])
def test_evaluating_a_run_without_checkpoints_is_refused(run: Path, capsys: Capture, empty: bool) -> None:
    shutil.rmtree(run / "checkpoints")
    if empty:
        (run / "checkpoints").mkdir()
    refuse_untouched(capsys, run, "eval", said=(str(run), "checkpoint"))


CONFIGS = {
    "cut": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "binary": lambda text: "\x00\udcff",
    "a section is a number": lambda text: json.dumps(json.loads(text) | {"model": 3}),
    "a section is empty": lambda text: json.dumps(json.loads(text) | {"data": {}}),
    "an unknown section": lambda text: json.dumps(json.loads(text) | {"modle": {}}),
}


@pytest.mark.parametrize("verb", ["train", "eval"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_damaged_config_of_a_run_is_named(
    stopped: Path, recipe: Path, capsys: Capture, kind: str, verb: str
) -> None:
    file = stopped / "config.json"
    file.write_text(CONFIGS[kind](file.read_text()), errors="surrogateescape")
    flags = ("--config", recipe) if verb == "train" else ()
    refuse_untouched(capsys, stopped, verb, *flags, said=(str(file), "restore"))


@pytest.mark.parametrize("text", ["{", "", "[]", "{}"])
def test_a_damaged_result_is_named(run: Path, recipe: Path, capsys: Capture, text: str) -> None:
    file = run / "result.json"
    file.write_text(text)
    refuse_untouched(capsys, run, "train", "--config", recipe, said=(str(file), "remove|restore"))


@pytest.mark.parametrize("damage", ["gone", "cut", "garbled", "wrong"])
def test_a_damaged_log_is_named(stopped: Path, recipe: Path, capsys: Capture, damage: str) -> None:
    file = stopped / "metrics.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    kept = {
        "gone": [],
        "cut": [*lines[:2], lines[2][:9]],
        "garbled": [lines[0], "{garbled\n", *lines[2:]],
        "wrong": [lines[0], "[]\n", *lines[2:]],
    }
    file.write_text("".join(kept[damage]))
    refuse_untouched(capsys, stopped, "train", "--config", recipe, said=(str(file), "restore|remove"))


@pytest.mark.parametrize(("checkpoint", "content"), [("12", ""), ("best", "{}")])
def test_a_damaged_checkpoint_asked_for_is_named(
    run: Path, capsys: Capture, checkpoint: str, content: str
) -> None:
    for step in ("10", "12"):
        (run / "checkpoints" / step / "meta" / "metadata").write_text(content)
    said = (str(run / "checkpoints"), "checkpoint 1[02]", "damaged")
    refuse_untouched(capsys, run, "eval", "--checkpoint", checkpoint, said=said)


def test_a_file_in_place_of_the_checkpoints_is_named(stopped: Path, recipe: Path, capsys: Capture) -> None:
    shutil.rmtree(stopped / "checkpoints")
    (stopped / "checkpoints").write_text("precious")
    refuse(capsys, "train", "--config", recipe, "--workdir", stopped, said=(str(stopped / "checkpoints"),))
    assert (stopped / "checkpoints").read_text() == "precious"


def assert_nothing_is_lost(finished: Path, run: Path, capsys: Capture) -> None:
    """The checkpoint of step 10 gives what it gave, and the run ends as if nothing had happened."""
    capsys.readouterr()
    result = json.loads((finished / "run" / "result.json").read_text())
    assert main(["eval", "--workdir", str(run), "--split", "validation"]) == 0
    report = json.loads((run / "eval-validation-10.json").read_text())
    (logged,) = (row for row in result["curve"] if row["step"] == 10 and "validation/loss" in row)
    assert report["loss"] == pytest.approx(logged["validation/loss"], rel=1e-6)
    assert main(["train", "--config", str(finished / "recipe.py"), "--workdir", str(run), "--quiet"]) == 0
    assert json.loads((run / "result.json").read_text())["state_sha256"] == result["state_sha256"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = [str(shutil.which("mount")), "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: that takes Linux and root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def refuse_to_go_on(finished: Path, run: Path, *said: str, limit: str = "") -> None:
    """Runs `train` in a process of its own, whose threads may print whatever they like: they must not."""
    code = f"import resource; {limit}\nfrom resjax.__main__ import command; command()"
    command = ["train", "--config", str(finished / "recipe.py"), "--workdir", str(run), "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    check(done.returncode, done.stderr, str(run), *said)


def test_a_full_disk_stops_a_run_and_nothing_is_lost(
    disk: Path, stopped: Path, finished: Path, capsys: Capture
) -> None:
    run, ballast = shutil.copytree(stopped, disk / "run"), disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 24 * 1024))  # a checkpoint takes more
    refuse_to_go_on(finished, run, "No space left")
    ballast.unlink()
    assert_nothing_is_lost(finished, run, capsys)


def test_a_limit_of_file_sizes_stops_a_run_and_nothing_is_lost(
    stopped: Path, finished: Path, capsys: Capture
) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    refuse_to_go_on(finished, stopped, "[Ff]ile too large", limit=limit)
    assert_nothing_is_lost(finished, stopped, capsys)
