"""Compares what clients were answered with what is stored: used by the drills and by the storm."""
