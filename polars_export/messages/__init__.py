"""Messages of any spelling, brought to one and put in their places: from a recorder's words to values of columns."""
