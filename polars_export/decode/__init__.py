"""Bytes of one record to a typed record, or an error that names the place."""

from polars_export.decode.decoder import Decoded, Rejected, TraceDecoder, check_case_result, parse, paused_collection

__all__ = ["Decoded", "Rejected", "TraceDecoder", "check_case_result", "parse", "paused_collection"]
