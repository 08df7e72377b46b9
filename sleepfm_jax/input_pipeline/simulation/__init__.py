"""The parts of a simulated night: subject, hypnogram, events, the signals they shape, outcomes.

Reading order: subjects, hypnograms, events, timeline, then breathing, heart, brain, eyes, muscles,
and last laboratories (labels and rates) and outcomes (diseases). `simulate.py` puts them together.
"""
