"""One short module a command: its flags, then a call into a job."""
