"""Notebooks as functions, and studies as many runs of one.

parameters       a notebook's parameters cell as a signature, and the check of values
strict_yaml      YAML 1.2, with the file and line of an error
resolved         what a run resolves to, its key, and how two runs differ
notebook_runner  one run: its folder, reused, resumed or set aside
kernels          papermill with a fresh kernel, and the cause of a failure
plan             a study file and its runs
resume           which runs are done, read from their folders
grid             the missing runs of a study, on dask workers
workers          those workers: local, standing or SLURM
run_lock         one process at a time in a folder
status           the states of a study as a table
live_curve       the loss of a run, drawn while it trains
watch            a study started and watched from a notebook cell
folds            the folds of a protocol, each as a run
"""
