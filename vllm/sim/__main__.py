"""``python -m vllm.sim``."""

import sys

from .cli.main import main

sys.exit(main())
