"""Notebooks as functions, and studies as many runs of one: plan, runner, grid, status."""
