"""Fault drills: break what can break under load, then compare promise and stores."""
