"""Checkpoints: what is kept, and what is told apart."""

import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from resjax import processes, storage
from resjax.checkpoint import Checkpoints
from resjax.digests import digest
from resjax.errors import UserError

STATE = {"a": jnp.arange(6.0).reshape(2, 3), "b": {"c": jnp.int32(7)}}


def test_what_is_restored_is_what_was_saved(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, STATE, {"note": "x"})
        checkpoints.wait()
        state, meta = checkpoints.restore(3, {"a": jnp.zeros((2, 3)), "b": {"c": jnp.int32(0)}})
    assert digest(state) == digest(STATE)
    assert meta["note"] == "x"


def test_checkpoint_with_arrays_of_another_is_damaged(tmp_path: Path) -> None:
    """Its files are sound: only the digest in `meta` shows that the arrays are not those that were saved."""
    changed = STATE | {"a": STATE["a"] + 1}
    for name, state in (("mine", STATE), ("other", changed)):
        with Checkpoints(tmp_path / name) as checkpoints:
            checkpoints.save(3, state, {})
            checkpoints.wait()
    mine, other = (tmp_path / name / "checkpoints" / "3" / "state" for name in ("mine", "other"))
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    with Checkpoints(tmp_path / "mine") as checkpoints:
        with pytest.warns(UserWarning, match="checkpoint 3"):
            assert checkpoints.resume(lambda step: STATE) is None
        assert checkpoints.steps() == []


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        for step, score in ((1, 0.1), (2, 0.9), (3, 0.5), (4, None), (5, 0.2), (6, None)):
            checkpoints.save(step, STATE, {}, score)
        checkpoints.wait()
        assert checkpoints.steps() == [2, 5, 6]
        assert checkpoints.best() == 2


def test_a_step_saved_again_has_the_new_content(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, STATE, {})
        checkpoints.save(1, STATE, {}, 0.5)
        checkpoints.wait()
        assert checkpoints.best() == 1


def test_a_changed_state_after_save_does_not_reach_the_checkpoint(tmp_path: Path) -> None:
    """The training step is given the state's memory while the save goes on behind it."""
    import jax

    state = {"a": jnp.ones(200_000)}
    expected = digest(state)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, {})
        jax.jit(lambda s: {"a": s["a"] * 2}, donate_argnums=0)(state)["a"].block_until_ready()
        checkpoints.wait()
        restored, _ = checkpoints.restore(1, {"a": jnp.zeros(200_000)})
    assert digest(restored) == expected


def test_another_model_s_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, STATE, {})
        checkpoints.wait()
        with pytest.raises(UserError, match=r"float32\[2,3\] .*float32\[3,3\]"):
            checkpoints.resume(lambda step: {"a": jnp.zeros((3, 3)), "b": {"c": jnp.int32(0)}})
        assert checkpoints.steps() == [1]


@pytest.mark.parametrize(
    "other",
    [
        {"a": STATE["a"].at[0, 0].set(1e-45), "b": STATE["b"]},
        {"a": STATE["a"].reshape(3, 2), "b": STATE["b"]},
        {"z": STATE["a"], "b": STATE["b"]},
        {"a": STATE["a"], "b": {"c": np.int64(7)}},
    ],
    ids=["bits", "shape", "name", "type"],
)
def test_the_digest_tells_any_difference(other: dict[str, object]) -> None:
    assert digest(STATE) != digest(other)


def test_what_process_0_sees_is_resumed_by_one_that_sees_it_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folders that a process saw as it began are a network file system's, and may be old."""
    like = {"a": jnp.zeros((2, 3)), "b": {"c": jnp.int32(0)}}
    with Checkpoints(tmp_path) as first, Checkpoints(tmp_path, read_only=True) as late:
        first.save(3, STATE, {})
        first.wait()
        assert late.steps() == []
        monkeypatch.setattr(processes, "tell", lambda steps: [3, *steps])
        found = late.resume(lambda step: like)
        assert found is not None
        assert digest(found[0]) == digest(STATE)
        monkeypatch.setattr(processes, "tell", lambda steps: [*steps, 5])
        monkeypatch.setattr(storage, "SEEN_WITHIN", 0.2)
        with pytest.warns(UserWarning, match="checkpoint 5"):
            assert late.resume(lambda step: like) is not None
    assert late.steps() == [3]
