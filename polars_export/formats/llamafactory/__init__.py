"""Records for LLaMA-Factory: turns in strict alternation."""
