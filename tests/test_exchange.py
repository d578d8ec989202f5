"""Collectives, read from lines as XLA's compilers for TPU and CPU print them."""

import pytest

from resjax.exchange import Exchange, exchanges

PROGRAM = """HloModule jit__run, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {{
  %a = f32[] parameter(0)
}}

%unit (p: (s32[], f32[64])) -> (s32[], f32[64]) {{
  {inner}
}}

%step (p: (s32[], f32[64])) -> (s32[], f32[64]) {{
  %loop = (s32[], f32[64]) while(%t), body=%unit, backend_config={{"known_trip_count":{{"n":"5"}}}}
  {outer}
}}

ENTRY %main (x: f32[64]) -> f32[64] {{
  %steps = (s32[], f32[64]) while(%t), condition=%c, body=%step
}}
"""
TPU = (
    "%all-reduce.1009 = (f32[256]{0:T(256)S(1)}, /*index=1*/bf16[256]{0:T(256)S(1)}) all-reduce(%g.5, %g.6),"
    " channel_id=10, replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_0','axis_1'}, to_apply=%add"
)
GATHER = (
    "%all-gather = f32[3,3,16,16]{3,2,1,0} all-gather(%p), channel_id=1, replica_groups=[4,2]<=[8],"
    " dimensions={3}, use_global_device_ids=true"
)
STARTED = (
    "%all-gather-start = (f32[8,4]{1,0}, f32[8,16]{1,0}) all-gather-start(%p), replica_groups={{0,1,2,3}},"
    " dimensions={1}"
)
SCATTER = "%r = f32[8]{0} reduce-scatter(%p), replica_groups={{0,1},{2,3}}, dimensions={0}, to_apply=%add"
PERMUTE = "%c = f32[10]{0} collective-permute(%p), source_target_pairs={{0,1},{1,0}}"


@pytest.mark.parametrize(
    ("line", "kind", "size", "sent"),
    [
        (TPU, "all-reduce", 1536, 2 * 7 / 8 * 1536),
        (GATHER, "all-gather", 9216, 9216 / 2),
        (STARTED, "all-gather", 512, 512 * 3 / 4),
        (SCATTER, "reduce-scatter", 64, 32),
        (PERMUTE, "collective-permute", 40, 40),
    ],
)
def test_bytes_are_those_of_the_line_s_shapes(line: str, kind: str, size: int, sent: float) -> None:
    assert exchanges(PROGRAM.format(inner="", outer=line)) == [Exchange(kind, 1, size, sent)]


def test_a_loop_of_known_length_counts_as_often_as_it_turns() -> None:
    found = exchanges(PROGRAM.format(inner=TPU, outer=GATHER + "\n  " + TPU))
    assert [(each.kind, each.count, each.bytes) for each in found] == [
        ("all-reduce", 6, 6 * 1536),
        ("all-gather", 1, 9216),
    ]


def test_what_reads_a_collective_s_result_is_none() -> None:
    reads = "%g = f32[256]{0} get-tuple-element(%all-reduce.1009), index=0"
    done = "%d = f32[8,16]{1,0} all-gather-done(%all-gather-start)"
    assert exchanges(PROGRAM.format(inner=reads, outer=done)) == []
