"""The command ``rebuild``: what it prints, and when it refuses."""
