"""The storm: the same likes twice, as one row per like and through the pipeline, measured and checked."""
