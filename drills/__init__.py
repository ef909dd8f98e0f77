"""Fault drills: inject a fault under load, then compare the stores with what clients were answered."""
