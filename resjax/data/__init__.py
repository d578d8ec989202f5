"""Data: `sources` (disk -> checked arrays), `batches` (order, padding, mask), `augment` (inside jit)."""
