"""`python -m tallystick.bench`: all questions, or those that are named."""

import sys

from tallystick.bench.all import main

sys.exit(main(sys.argv[1:]))
