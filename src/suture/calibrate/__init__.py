"""Statistics of a model on texts, written as tensors under the model's names."""

from suture.calibrate.run import Calibration, Settings, Statistic, calibrate, described

__all__ = ["Calibration", "Settings", "Statistic", "calibrate", "described"]
