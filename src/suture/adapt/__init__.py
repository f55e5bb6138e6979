"""Few-shot sampling and fine-tuning (Trainer, PEFT), continued pre-training."""
