"""The formats: each is a pure function from Report to pieces of text. The table also takes a terminal's width."""
