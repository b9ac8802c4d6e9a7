"""From runs to a result: `run_values` -> `summaries` -> `comparisons` -> `tables`.

run_values   what one finished run measured
results      run folders -> scores of methods with their spread
fold_scores  runs of a protocol's folds -> their mean
summaries    a study's runs -> one small file, and back
statistics   paired differences: interval, p-value, Holm's correction, verdict, power
comparisons  which variants are compared, and what came out
equal_time   equal steps or equal time: a plan for the other
tables       scores as Markdown, LaTeX or CSV; an outcome as text
agreement    tables of several tools laid against each other, and against labels
readme       generated tables of README.md, results/ and docs/
"""
