"""The stages of a batch, composed: tables and options in, records and counts out."""
