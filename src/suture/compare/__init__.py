"""Items -> verdicts: forgetting, paired intervals, headroom, power; imports no torch.

verdicts.py     the result as plain data, and comparison.json
statistics.py   paired differences, intervals and p-values by item and cluster
power.py        smallest_margin, plan_margins: what n items can prove, before the run
pairing.py      result folders -> tables by item; refuses different items or prompts
axes.py         score_floors, make_axis: floors and headroom
compare.py      compare(results, against=, floors=, margins=) -> Comparison: the entry point
replicate.py    contrast_replicates: the A/A row
gate.py         check_gate: is there forgetting to mitigate?
"""
