"""Pickled models: scan, judge, load with care, replace while serving."""
