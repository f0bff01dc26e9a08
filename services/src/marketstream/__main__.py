"""`python -m marketstream` is the same as `marketstream`."""

import sys

from marketstream.cli import main

sys.exit(main())
