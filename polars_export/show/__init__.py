"""Show conversations as a person reads them: of traces, and of the records that an export wrote."""
