"""Conduct an export: cut the work into tasks, run them, and collect what comes back."""
