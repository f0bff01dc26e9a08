"""Run `marketstream` as `python -m marketstream`."""

import sys

from marketstream.cli import main

sys.exit(main())
