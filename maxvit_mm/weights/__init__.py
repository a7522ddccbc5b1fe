"""Released checkpoints -> ours, complete or an error; one file for each origin."""
