"""Graphite: timings to carbon, markers to graphite-web."""
