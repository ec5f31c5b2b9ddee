"""What recorders keep beside the runs: the prompts of eval sets and tool definitions, and their join to the traces."""
