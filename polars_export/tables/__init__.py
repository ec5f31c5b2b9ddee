"""The canonical tables: `traces`, one row per trace, and `turns`, one row per turn."""
