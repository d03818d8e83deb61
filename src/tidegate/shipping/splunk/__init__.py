"""Splunk as a place that events are shipped to: its HTTP Event Collector."""
