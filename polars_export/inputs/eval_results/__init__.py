"""Eval results: results documents, case-result lines and scored-trace lines."""
