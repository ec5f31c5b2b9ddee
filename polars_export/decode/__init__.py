"""Bytes of one record to a typed record, or an error that names the place."""

from polars_export.decode.decoder import Decoded, TraceDecoder, check_case_result, parse

__all__ = ["Decoded", "TraceDecoder", "check_case_result", "parse"]
