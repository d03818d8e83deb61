"""Tidegate: deployments behind HAProxy that customers do not notice."""
