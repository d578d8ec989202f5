"""What `--engine ray` asks of machines and shows of its cells; in test_ray.py Ray itself does it."""

import warnings

import pytest

from resjax import progress
from resjax.engines import demand, news
from resjax.engines.news import Moved, Reporter, Said, View
from resjax.progress import Display

Capture = pytest.CaptureFixture[str]
PLAIN = {"CPU": 8.0}
CARDS = {"CPU": 4.0, "GPU": 2.0}
CHIPS = {"CPU": 96.0, "TPU": 4.0}


@pytest.mark.parametrize(
    ("asked", "machines", "gpus", "resources"),
    [
        ((1, None, 0), (PLAIN, PLAIN), 0, {}),
        ((1, None, 0), (PLAIN, CARDS), 1, {}),
        ((1, 0, 0), (PLAIN, CARDS), 0, {}),
        ((4, 2, 0), (PLAIN, CARDS), 2, {}),
        ((1, None, 4), (PLAIN, CHIPS), 0, {"TPU": 4}),
    ],
)
def test_a_cell_asks_for_what_it_was_given(
    asked: tuple[int, int | None, int],
    machines: tuple[dict[str, float], ...],
    gpus: int,
    resources: dict[str, int],
) -> None:
    with warnings.catch_warnings(action="error"):
        found = demand.options(*asked, machines)
    assert found == {"num_cpus": asked[0], "num_gpus": gpus, "resources": resources}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((8, 1, 0), "8 CPU, 1 GPU"),  # each on a machine, none on one machine
        ((16, None, 0), "16 CPU, 1 GPU"),
        ((1, 3, 0), "1 CPU, 3 GPU"),
        ((1, 0, 1), "1 CPU, 1 TPU"),
    ],
)
def test_what_no_machine_has_is_told(asked: tuple[int, int | None, int], said: str) -> None:
    with pytest.warns(UserWarning, match=said):
        demand.options(*asked, (PLAIN, CARDS))


def test_a_cell_tells_what_it_says_and_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Said | Moved] = []
    reporter = Reporter("plain 4, seed 0", sent.append)
    with reporter, reporter.task("training", 12, done=3) as update:
        reporter.say("resuming")
        update(4, "too soon")
        monkeypatch.setattr(news, "LOOK_EVERY", -1.0)
        update(5, "loss 1.2")
    moved = [Moved("plain 4, seed 0", 3, 12, ""), Moved("plain 4, seed 0", 5, 12, "loss 1.2")]
    assert sent == [moved[0], Said("resuming"), moved[1]]


def test_one_view_shows_all_cells_that_run(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY", -1.0)  # each change is told
    sent: list[list[Said | Moved]] = [[], [Moved("b", 7, 12, "loss 2")], [Moved("a", 3, 12, ""), Said("hm")]]
    with Display() as display, display.task("small", 2) as update:
        with View(display, lambda: sent.pop()) as view:
            for _ in range(3):
                view.show()
            view.close("a")
            view.close("never began")
            sent.append([Moved("c", 1, 9, "")])
            view.show()
        update(1, "")
    assert [line.split(" | ") for line in capsys.readouterr().err.splitlines()] == [
        ["small 0/2 ", "a 3/12 "],
        ["hm"],
        ["small 0/2 ", "a 3/12 ", "b 7/12 loss 2"],
        ["small 0/2 ", "b 7/12 loss 2", "c 1/9 "],
        ["small 1/2 "],
    ]
