"""Measurements of Tidegate itself: what it adds to what nodes and load balancers take."""
