"""Classes of image files by an export alone."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from carried import config_of, logits_of, read_images
from PIL import Image
from refusal import refuse, transcript

from resjax.__main__ import main
from resjax.data import sources, tfds_source
from resjax.interop import predicting
from resjax.interop.exporting import export
from resjax.training import train

Capture = pytest.CaptureFixture[str]
Golden = Callable[[str, str], None]
MODEL = dict(name="residual_mlp", depth=4, width=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds run, exported, and digits: six test images as .png files."""
    place = tmp_path_factory.mktemp("predicted")
    train(
        config_of(MODEL, "--config.schedule.length=30", "--config.schedule.learning_rate=0.1"), place / "run"
    )
    export(place / "run", place / "exported")
    (place / "digits").mkdir()
    for number, image in enumerate(read_images()[0][:6]):
        Image.fromarray(image[..., 0]).save(place / "digits" / f"{number}.png")
    return place


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits.astype(np.float64))
    return raised / raised.sum(-1, keepdims=True)


def lines(capsys: Capture, *argv: object) -> list[str]:
    capsys.readouterr()
    assert main(["predict", *map(str, argv)]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_likeliest_classes_and_their_probabilities_are_those_of_the_run(
    folder: Path, capsys: Capture
) -> None:
    wanted = softmax(logits_of(folder / "run", read_images()[0][:6]))
    said = lines(capsys, folder / "exported", folder / "digits", "--top", "3")
    assert len(said) == 6
    for number, line in enumerate(said):
        assert line.startswith(f"{folder / 'digits' / str(number)}.png: ")
        found = re.findall(r"(\d) (0\.\d{4}|1\.0000)", line.partition(": ")[2])
        best = np.argsort(-wanted[number])[:3]
        assert [int(name) for name, _ in found] == list(best)
        assert [float(share) for _, share in found] == pytest.approx(wanted[number][best], abs=1e-4)


def test_files_are_named_one_by_one_too(folder: Path, capsys: Capture) -> None:
    some = [folder / "digits" / "4.png", folder / "digits" / "1.png"]
    both = lines(capsys, folder / "exported", *some)
    assert [line.partition(": ")[0] for line in both] == [str(path) for path in some]
    assert both == [lines(capsys, folder / "exported", path)[0] for path in some]


def test_more_images_than_a_batch_are_each_predicted_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "BATCH", 4)
    found = list(predicting.Predictor(folder / "exported").predict([folder / "digits"]))
    assert [each.path.name for each in found] == [f"{number}.png" for number in range(6)]


def test_classes_have_their_names_where_the_data_say_them(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "exported", tmp_path / "named")
    facts = json.loads((copy / "export.json").read_text())
    facts["classes"] = [f"digit {number}" for number in range(10)]
    (copy / "export.json").write_text(json.dumps(facts))
    (plain,), (named,) = (
        predicting.Predictor(place).predict([folder / "digits" / "0.png"])
        for place in (folder / "exported", copy)
    )
    assert named.classes[0][0] == f"digit {plain.classes[0][0]}"


def test_sets_of_tensorflow_datasets_say_their_names() -> None:
    assert sources.class_names(name="tfds:rock_paper_scissors") == ("rock", "paper", "scissors")
    assert sources.class_names(name="digits") == ()


def test_an_image_becomes_one_of_the_net_s_size_and_colours(tmp_path: Path) -> None:
    """As data sets of larger images do: the square in the middle, resized."""
    colour = np.random.default_rng(0).integers(0, 256, (20, 40, 3), np.uint8)
    Image.fromarray(colour).save(tmp_path / "wide.png")
    wanted = tfds_source.centre_square(colour, 8)
    np.testing.assert_array_equal(predicting.read(tmp_path / "wide.png", (8, 8, 3)), wanted)
    assert predicting.read(tmp_path / "wide.png", (8, 8, 1)).shape == (8, 8, 1)
    Image.fromarray(colour[..., 0]).save(tmp_path / "grey.png")
    grey = predicting.read(tmp_path / "grey.png", (20, 40, 3))
    np.testing.assert_array_equal(grey, colour[..., :1].repeat(3, -1))


@pytest.mark.golden
def test_bad_images_are_told(folder: Path, tmp_path: Path, capsys: Capture, golden: Golden) -> None:
    (tmp_path / "text.png").write_text("no image")
    whole = (folder / "digits" / "0.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full((8, 8), 7_000, np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "empty").mkdir()
    messages = {
        name: refuse(capsys, "predict", folder / "exported", tmp_path / name, names=str(tmp_path / name))
        for name in ("absent.png", "text.png", "half.png", "deep.png", "empty")
    }
    text = re.sub(r"no image \(.*\)", "no image (...)", transcript(messages, FOLDER=tmp_path))
    golden("messages/predict_images.txt", text.replace("mode I;16", "mode I"))  # by Pillow's version


@pytest.mark.golden
def test_bad_exports_are_told(folder: Path, tmp_path: Path, capsys: Capture, golden: Golden) -> None:
    image = folder / "digits" / "0.png"
    messages = {}
    for path in (tmp_path / "absent", folder / "run"):
        messages[path.name] = refuse(capsys, "predict", path, image, names=str(path))
    for name, content in (
        ("program.jax_export", "half"),
        ("program.jax_export", None),
        ("export.json", "{"),
        ("export.json", '{"format": 2}'),
        ("export.json", '{"format": 1}'),
    ):
        copy = shutil.copytree(folder / "exported", tmp_path / "copy", dirs_exist_ok=True)
        if content is None:
            (copy / name).unlink()
        else:
            (copy / name).write_text(content)
        messages[f"{name}: {content}"] = refuse(capsys, "predict", copy, image, names=name)
    command = ("predict", folder / "exported", image, "--top", "0")
    messages["--top 0"] = refuse(capsys, *command, names="--top")
    golden("messages/predict_exports.txt", transcript(messages, FOLDER=tmp_path, RUN=folder))


def test_a_net_that_labels_pixels_is_no_net_for_it(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    copy = shutil.copytree(folder / "exported", tmp_path / "pixels")
    facts = json.loads((copy / "export.json").read_text())
    (copy / "export.json").write_text(json.dumps({**facts, "logits": [8, 8, 10]}))
    refuse(capsys, "predict", copy, folder / "digits", names=str(copy))
