"""Objects followed from frame to frame of a video, by ByteTrack."""

from __future__ import annotations

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker

from .sources import Frame, Source


class Tracking:
    """Gives what is found in a video a `tracker_id`; -1 where an object has been seen too briefly for one.

    A new source begins anew. An image is no video, and is left as it is.

    Args:
        score_thr: the detector's threshold; what it lets through may begin a track.
    """

    def __init__(self, score_thr: float):
        self.score_thr = score_thr
        self.source: Source | None = None

    def __call__(self, frame: Frame, found: sv.Detections) -> sv.Detections:
        if frame.number is None:
            return found
        if frame.source != self.source:
            self.source = frame.source
            self.tracker = ByteTrackTracker(
                frame_rate=frame.rate,
                track_activation_threshold=self.score_thr,
                high_conf_det_threshold=self.score_thr,
            )
        rows = np.arange(len(found))
        bare = sv.Detections(found.xyxy, confidence=found.confidence, data={"row": rows})
        tracked = self.tracker.update(bare)
        numbers = np.full(len(found), -1)
        numbers[np.asarray(tracked.data.get("row", rows[:0]), int)] = tracked.tracker_id
        found = found.select(slice(None))
        found.tracker_id = np.where(numbers < 0, -1, numbers + 1)
        return found
