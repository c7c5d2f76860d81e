"""From a file to a document: detection, worker processes, folder ingest."""
