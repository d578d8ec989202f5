"""Folders that a run cannot use, and full disks: a one-line error, and no saved file is changed."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest
from refusal import check, refuse, refuse_to_train, transcript, write

from resjax.__main__ import main

Capture = pytest.CaptureFixture[str]
Golden = Callable[[str, str], None]


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


def stop(run: Path) -> None:
    """Makes a finished run one that was stopped after step 10."""
    (run / "result.json").unlink()
    shutil.rmtree(run / "checkpoints" / "12")


@pytest.fixture
def stopped(run: Path) -> Path:
    """A run that was stopped after step 10."""
    stop(run)
    return run


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refuse_untouched(capsys: Capture, folder: Path, command: str, *flags: object, names: object) -> str:
    """Runs a command that must be refused and change nothing in the folder; returns the message."""
    before = contents(folder)
    quiet = ["--quiet"] if command == "train" else []
    message = refuse(capsys, command, "--workdir", folder, *quiet, *flags, names=str(names))
    assert contents(folder) == before
    return message


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, which is read-only")
def test_a_folder_that_cannot_be_made_is_refused(recipe: Path, capsys: Capture) -> None:
    message = refuse_to_train(capsys, recipe, Path("/proc/resjax/run"), names="/proc/resjax/run")
    assert "--workdir" in message


@pytest.mark.golden
def test_folders_that_cannot_hold_a_run_are_refused(
    tmp_path: Path, recipe: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    monkeypatch.chdir(tmp_path)
    messages = {}
    for folder in (file, file / "run", file / "a/b/run", ""):  # the last one as of an unset variable
        command = ["train", "--config", recipe, "--workdir", folder]
        message = refuse(capsys, *command, names="--workdir")
        assert str(folder) in message
        messages[f"--workdir {folder}"] = message
    for folder in (tmp_path / "absent", tmp_path):
        message = refuse(capsys, "eval", "--workdir", folder, names=str(folder))
        messages[f"eval --workdir {folder}"] = message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "precious"
    text = transcript(messages, FOLDER=tmp_path)  # the operating system words the reasons
    golden("messages/folders.txt", re.sub(r"written \(.*\)", "written (...)", text))


@pytest.mark.parametrize("state", ["run", "stopped"])
@pytest.mark.parametrize(
    ("flag", "key"), [("--config.seed=3", "config.seed"), ("--config.model.width=9", "model.width")]
)
def test_another_config_s_folder_is_refused(
    recipe: Path, capsys: Capture, request: pytest.FixtureRequest, state: str, flag: str, key: str
) -> None:
    folder = request.getfixturevalue(state)
    message = refuse_untouched(capsys, folder, "train", "--config", recipe, flag, names=key)
    assert str(folder) in message


def test_a_folder_in_use_is_refused(stopped: Path, recipe: Path, capsys: Capture) -> None:
    with filelock.FileLock(stopped / ".lock"):
        refuse_untouched(capsys, stopped, "train", "--config", recipe, names=stopped)


OTHER = {
    "--config.model.width=9 --checkpoint last": "checkpoint 12",
    "--config.model.depth=6 --checkpoint 12": "block2",
    "--config.optim.name=adam --checkpoint best": "opt_state",
    "--config.data.holdout=0 --split validation": "config.data.holdout",
}


@pytest.mark.golden
def test_checkpoints_that_do_not_fit_are_refused(
    run: Path, recipe: Path, capsys: Capture, golden: Golden
) -> None:
    messages = {
        f"eval {flags}": refuse_untouched(capsys, run, "eval", "--config", recipe, *flags.split(), names=name)
        for flags, name in OTHER.items()
    }
    for name in ("7", "lats", "²"):
        flags = ("--checkpoint", name)
        messages[f"eval --checkpoint {name}"] = refuse_untouched(
            capsys, run, "eval", *flags, names=f"'{name}'"
        )
    for name, content in (("12", ""), ("best", "{}")):
        for step in ("10", "12"):
            (run / "checkpoints" / step / "meta" / "metadata").write_text(content)
        flags = ("--checkpoint", name)
        message = refuse_untouched(capsys, run, "eval", *flags, names=run / "checkpoints")
        messages[f"eval --checkpoint {name}, damaged"] = message
    for path in (run / "checkpoints").iterdir():
        shutil.rmtree(path)
    messages["eval, no checkpoints"] = refuse_untouched(capsys, run, "eval", names=run)
    (run / "checkpoints").rmdir()
    messages["eval, no folder of checkpoints"] = refuse_untouched(capsys, run, "eval", names=run)
    golden("messages/checkpoints.txt", transcript(messages, RUN=run))


CONFIGS = {
    "cut": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "binary": lambda text: "\x00\udcff",
    "a section is a number": lambda text: json.dumps(json.loads(text) | {"model": 3}),
    "a section is empty": lambda text: json.dumps(json.loads(text) | {"data": {}}),
    "an unknown section": lambda text: json.dumps(json.loads(text) | {"modle": {}}),
}
LOGS: dict[str, Callable[[list[str]], list[str]]] = {
    "gone": lambda lines: [],
    "cut": lambda lines: [*lines[:2], lines[2][:9]],
    "garbled": lambda lines: [lines[0], "{garbled\n", *lines[2:]],
    "wrong": lambda lines: [lines[0], "[]\n", *lines[2:]],
}


@pytest.mark.golden
def test_damaged_files_of_a_run_are_refused(run: Path, recipe: Path, capsys: Capture, golden: Golden) -> None:
    train = ("train", "--config", recipe)
    messages = {}
    file = run / "result.json"
    result = file.read_text()
    for text in ("{", "", "[]", "{}"):
        file.write_text(text)
        messages[f"train, result.json: {text!r}"] = refuse_untouched(capsys, run, *train, names=file)
    file.write_text(result)
    stop(run)
    file = run / "metrics.jsonl"
    log = file.read_text()
    for kind, damage in LOGS.items():
        file.write_text("".join(damage(log.splitlines(keepends=True))))
        messages[f"train, metrics.jsonl: {kind}"] = refuse_untouched(capsys, run, *train, names=file)
    file.write_text(log)
    file = run / "config.json"
    config = file.read_text()
    for kind, damage in CONFIGS.items():
        file.write_text(damage(config), errors="surrogateescape")
        messages[f"train, config.json: {kind}"] = refuse_untouched(capsys, run, *train, names=file)
        messages[f"eval, config.json: {kind}"] = refuse_untouched(capsys, run, "eval", names=file)
    golden("messages/damaged_runs.txt", transcript(messages, RUN=run))


def test_a_file_in_place_of_the_checkpoints_is_named(stopped: Path, recipe: Path, capsys: Capture) -> None:
    file = stopped / "checkpoints"
    shutil.rmtree(file)
    file.write_text("precious")
    refuse(capsys, "train", "--config", recipe, "--workdir", stopped, names=str(file))
    assert file.read_text() == "precious"


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


def refuse_to_go_on(finished: Path, run: Path, *, limit: str = "") -> None:
    """Runs `train` in a separate process, whose threads must not print anything."""
    code = f"import resource; {limit}\nfrom resjax.__main__ import command; command()"
    command = ["train", "--config", str(finished / "recipe.py"), "--workdir", str(run), "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    check(done.returncode, done.stderr, str(run))


def test_a_full_disk_stops_a_run_and_nothing_is_lost(
    disk: Path, stopped: Path, finished: Path, capsys: Capture
) -> None:
    run, ballast = shutil.copytree(stopped, disk / "run"), disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 24 * 1024))  # a checkpoint takes more
    refuse_to_go_on(finished, run)
    ballast.unlink()
    assert_nothing_is_lost(finished, run, capsys)


@pytest.mark.slow
def test_a_limit_of_file_sizes_stops_a_run_and_nothing_is_lost(
    stopped: Path, finished: Path, capsys: Capture
) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    refuse_to_go_on(finished, stopped, limit=limit)
    assert_nothing_is_lost(finished, stopped, capsys)
