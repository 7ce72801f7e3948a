"""The formats: each module turns a Report into text, and knows nothing of terminals and files."""
