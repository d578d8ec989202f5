"""The table of memory: plans that fall with rematerialisation, and the committed one is of its record."""

import json

import pytest

from experiments.benchmarks import memory


@pytest.mark.slow
def test_what_is_computed_anew_is_not_kept() -> None:
    def temporaries(policy: str) -> int:
        found = memory.plan(38, {"model.width": 2, "train.remat": policy, "train.scan_from": 2})
        assert found["loop"] == 5
        return found["temporary_bytes"]

    none, norms, units = (temporaries(policy) for policy in memory.POLICIES)
    assert units < norms < none


@pytest.mark.skipif(not memory.PATH.exists(), reason="there is no record")
def test_what_is_committed_is_rendered_from_the_committed_record() -> None:
    record = json.loads(memory.PATH.read_text())
    assert memory.PATH.with_suffix(".md").read_text() == memory.markdown(record)
    assert {(row["net"], row["remat"]) for row in record["rows"]} == {
        (net, policy) for net in memory.NETS for policy in memory.POLICIES
    }
