"""What is known of one file: the document, and the feature vectors made from it."""
