"""Where the project is; a tool that imports this can import the rest of it.

A tool is run as a script from any folder, and then Python looks for modules beside it
alone. This makes `image_diff` and the helpers of the tests importable as well.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
