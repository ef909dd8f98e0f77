"""Every figure beside its baseline, measured alternately in one run. One file per figure."""
