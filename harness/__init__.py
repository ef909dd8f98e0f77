"""Starts the product's processes for tests, benchmarks and drills, and connects clients to them."""
