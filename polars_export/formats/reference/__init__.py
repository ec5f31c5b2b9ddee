"""The reference exporter's records, byte for byte."""
