"""Scores of outputs that are already there: `suture score`, under the published protocol of each task."""
