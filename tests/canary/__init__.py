"""The leak hunt: runs of the whole program with false secrets, and a search of all that they leave."""
