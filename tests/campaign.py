"""Every kill, instead of the suite's sample: python tests/campaign.py [FOLDER]"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / part) for part in ("", "openmmlab")]

from test_killed import TRAININGS, go_on_and_compare, name_of, run  # noqa: E402

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for training in TRAININGS:
            folder = Path(scratch, name_of(training))
            folder.mkdir()
            assert set(run(folder / "whole", training)) == {0}
            killed = 0
            while set(run(folder / str(killed), training, kill_at=killed)) != {0}:
                go_on_and_compare(folder / str(killed), training, folder / "whole")
                killed += 1
            print(f"{name_of(training)}: killed at each of {killed} file operations, and gone on", flush=True)
