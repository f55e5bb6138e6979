"""Comparison -> one self-contained HTML file and the terminal's tables."""
