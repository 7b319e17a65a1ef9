"""The Wireshark plug-in of this project: its parts in Lua, the tables that they read, and the commands that put it in place."""
