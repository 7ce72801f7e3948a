"""The formats: each a pure function from Report to pieces of text; the table takes a terminal's width, too."""
