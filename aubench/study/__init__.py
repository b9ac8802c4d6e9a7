"""Notebooks as functions, and studies as many runs of one.

parameters       a notebook's parameters cell as a signature, and the check of values
notebook_runner  one run: its key, its folder, reused, resumed or set aside
kernels          papermill with a fresh kernel, and the cause of a failure
plan             a study file and its runs; the state of each, read from its folder
grid             the missing runs of a study, on dask workers
workers          those workers: local, standing or SLURM
run_lock         one process at a time in a run folder
status, watch    the table of a study, in the terminal and in a notebook
folds            the folds of a protocol, each as a run
"""
