"""`python -m polars_export` is `polars-export`."""

import sys

from polars_export.cli import main

sys.exit(main())
