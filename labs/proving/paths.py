"""Where things lie in a checkout of the guide, and which of them may be thrown away."""

from pathlib import Path

LABS = Path(__file__).resolve().parents[1]
ROOT = LABS.parent
STATE = ROOT / ".engine"
"""The git-ignored folder of the private engine: its data, its log and the locks."""
