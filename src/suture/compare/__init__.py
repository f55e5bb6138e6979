"""Items -> verdicts: forgetting, paired intervals, headroom, power; imports no torch.

verdicts.py      the result as plain data, and comparison.json
statistics.py    paired differences, intervals and p-values by item and cluster
bounded.py       intervals of few clusters that stay within the bounds of a metric
ratios.py        fieller, score_ratio: retention and recovered share with intervals
guessing.py      above_chance: flips of multiple choice corrected for guessing
multiplicity.py  holm, benjamini_hochberg, adjust: families of p-values
power.py         smallest_margin, plan_margins: what n items can prove, before the run
pairing.py       result folders -> tables by item; refuses different items or prompts
signatures.py    how scores came to be; refuses different settings of one metric
axes.py          score_floors, make_axis: floors and headroom
contrasts.py     contrast_tables, judge, recover: one model against its parents on one metric
requests.py      check_request: parents, margins and primary metrics that results answer to
repairs.py       repair_notes: what the repair of IFEval's verdicts changes
compare.py       compare(results, against=, floors=, margins=, primary=) -> Comparison: the entry point
replicate.py     contrast_replicates: the A/A row
pareto.py        front: the models that no other one beats on two measures
gate.py          check_gate: is there forgetting to mitigate?
"""
