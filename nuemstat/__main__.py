"""``python -m nuemstat`` is the command line."""

import sys

from nuemstat.cli import main

if __name__ == "__main__":
    sys.exit(main())
