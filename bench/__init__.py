"""The benchmarks: each measured in alternation with its baselines, in one run. One module per benchmark."""
