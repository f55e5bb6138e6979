"""Few-shot sampling and fine-tuning (TRL, PEFT), continued pre-training."""
