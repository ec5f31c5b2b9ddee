"""Which traces become data: scores, thresholds and the rules that look across traces."""
