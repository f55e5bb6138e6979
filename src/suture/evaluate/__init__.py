"""Model + tasks -> items: runs tasks on a model and keeps every item."""
