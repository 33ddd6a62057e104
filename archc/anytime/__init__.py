"""Prediction under a budget: thresholds at which samples leave, and what they cost."""
