"""Speed of the service, as ratios of contenders measured in one run.

`python -m benchmarks.speed --help` lists what can be run.
"""
