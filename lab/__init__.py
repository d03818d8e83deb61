"""Real servers on one machine, for the demo, the tests and Molecule."""
