"""The commands: a module for each name in the menu, with the command in it as `command`."""
