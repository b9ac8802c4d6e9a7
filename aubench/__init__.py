"""Everything around the library, for the command line and the notebooks.

cli           the command `aulib`, a module per group of subcommands; the demo
datasets      photographs, raw downloads, files of other tools, checks: how a dataset folder comes about
inference     a trained run used: probabilities and landmarks of faces, export to ONNX
study         notebooks as functions, and a study as many runs of one: plan, runner, grid, status
report        from runs to a result: summaries, comparisons, statistics, tables, README's tables
inspection    what a model sees and keeps: decoding, swaps, attention, faces built to ask one question
plots         every figure; functions return it and never show it
widgets       instruments for notebook and app: playground, photograph, swaps, runs
app           the playground as an app on this machine
lab           JupyterLab on this checkout, with git blind to outputs
"""
