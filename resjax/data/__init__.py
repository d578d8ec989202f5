"""Data: `sources` (disk -> checked arrays, or files that are read by index), `batches` (order, padding,
mask), `augment` (inside jit)."""
