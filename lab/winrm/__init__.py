"""A Windows-like node: a strict WS-Management endpoint whose shells run programs of this machine."""
