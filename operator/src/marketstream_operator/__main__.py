"""Entry point of `python -m marketstream_operator`."""

import sys

from marketstream_operator.cli import main

sys.exit(main())
