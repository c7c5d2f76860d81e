"""The classifier that serves: its file is checked, tried, loaded, replaced and rolled back."""
