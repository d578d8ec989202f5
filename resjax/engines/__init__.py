"""Where the cells of a table run, other than one by one in this process: one engine a file."""
