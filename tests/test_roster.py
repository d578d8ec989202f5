"""`resjax models`: every family is there, and its numbers are those that are counted elsewhere too."""

import functools
import io
import re
from contextlib import redirect_stdout

import pytest

from resjax import roster
from resjax.__main__ import main
from resjax.models import MODELS

# Parameters, and millions of multiply-adds where others count convolutions and dense layers alone.
KNOWN = {
    ("cifar_resnet", "depth=110"): (1_727_962, 252.9),
    ("wide_resnet", "depth=28 widen=10"): (36_479_194, None),
    ("imagenet_resnext", "depth=50 cardinality=32 group_width=4"): (25_028_904, 4_230.5),
    ("densenet", "depth=100 growth=12"): (769_162, None),
    ("imagenet_densenet", "depth=121 growth=32"): (7_978_856, 2_834.2),
    ("googlenet", "norm=none"): (6_998_552, None),
}


@functools.cache
def printed() -> str:
    with redirect_stdout(io.StringIO()) as out:
        assert main(["models"]) == 0
    return out.getvalue()


def rows() -> dict[tuple[str, str], list[str]]:
    """-> {(model, settings): input, classes, parameters, multiply-adds, source} as they are printed."""
    lines = [[cell.strip() for cell in line.strip("│\n").split("│")] for line in printed().splitlines()]
    return {(cells[0], cells[1]): cells[2:] for cells in lines if cells[0] in MODELS}


@pytest.mark.slow
def test_every_family_has_a_line_and_every_line_is_a_net_of_its_own() -> None:
    assert {model for model, _ in rows()} == {each.model for each in roster.EXHIBITS} == set(MODELS)
    assert len(rows()) == len(roster.EXHIBITS)


@pytest.mark.slow
@pytest.mark.parametrize("net", KNOWN, ids=" ".join)
def test_numbers_are_the_known_ones(net: tuple[str, str]) -> None:
    parameters, millions = KNOWN[net]
    _, _, counted, multiply_adds, _ = rows()[net]
    assert counted == f"{parameters:,}"
    if millions is not None:
        assert int(multiply_adds.replace(",", "")) / 1e6 == pytest.approx(millions, abs=0.1)


@pytest.mark.slow
def test_each_line_has_its_input_and_a_dated_source() -> None:
    for (model, _), (image, classes, _, _, source) in rows().items():
        assert re.fullmatch(r"\d+x\d+x[13]", image)
        assert classes in ("2", "10", "11", "1000")
        assert re.search(r"\b(19|20)\d\d\b", source) or model == "residual_mlp"


@pytest.mark.parametrize("columns", ["40", "200"])
def test_no_name_or_number_is_cut_whatever_the_width(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    models = ("highway", "residual_mlp", "recurrent")  # whose layers are few
    monkeypatch.setattr(roster, "EXHIBITS", [each for each in roster.EXHIBITS if each.model in models])
    with redirect_stdout(io.StringIO()) as out:
        assert main(["models"]) == 0
    assert "…" not in out.getvalue()
    assert "width=128 delay=21" in out.getvalue()


def test_it_takes_nothing_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["models", "wide_resnet"])
    assert stopped.value.code == 2
    assert (
        capsys.readouterr().err
        == "resjax: 'wide_resnet' is not an option of resjax models; see resjax --help\n"
    )
