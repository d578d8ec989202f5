"""Probes: what a net's gradients, responses and losses look like, at the start of training or behind it.

The list of all is in `registry` (not here: training imports the cheap ones, and some of the others train).
"""
