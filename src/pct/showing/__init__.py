"""The results of a folder as a page: found, read, and shown by a local server or as files."""
