"""The subcommands of `aulib`.

main        the command: gathers the subcommands, exit status
work        commands that compute: demo, a notebook, a study, the playground
data        commands that make, check and exchange dataset folders
scores      commands that read finished runs: scores, predictions, tables
demo        the demo: five methods, then the report
cli_errors  how arguments are declared, one line per error, printed scores
"""
