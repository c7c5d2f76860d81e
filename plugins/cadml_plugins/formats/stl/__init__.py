"""STL, with numpy alone."""
