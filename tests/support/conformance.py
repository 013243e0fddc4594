"""Conformance cases of other projects. They lie beside the checkout, never in it: their licences are their own."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("RINGFENCE_CONFORMANCE_DATA", ROOT.parent / "shared" / "data"))
CALICO_SELECTORS = FOLDER / "calico_selector_cases.json"
