"""Comparison -> one self-contained HTML file, Markdown, LaTeX, JSON, and the terminal's tables.

data.py           all that a report shows, as plain data; bare.py: of a comparison alone
finding.py        the verdicts in words
labels.py         how numbers, metrics and verdicts are written
table.py          the neutral table; tables.py, contrasts.py, heat.py, compact.py fill it
plane.py          the trade-off plane and its Pareto front
curves.py         learning curves over shots; sweep.py: every measure over the coefficient
transitions.py    bars of kept, lost and gained items; distributions.py: histograms of per-item differences
view.py           what the page's script needs; html.py: the page
document.py       sentences and tables in order; markdown.py, latex.py
terminal.py       the tables in a terminal; overview.py: those of many tasks
private.py        write_private: mode 0600, whole or not at all
"""
