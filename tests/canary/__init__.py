"""The leak hunt: runs of the whole program with fake secrets, and a search of everything that they write."""
