"""Records that TRL and axolotl train on as they are."""
