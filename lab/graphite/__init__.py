"""A real Graphite of one's own: Debian's carbon-cache and graphite-web, in a folder, as whoever starts it."""
