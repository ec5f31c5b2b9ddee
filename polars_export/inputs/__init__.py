"""Dialects of recorded traces: each module recognises one and decodes it to the columns of the tables."""
