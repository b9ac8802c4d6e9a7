"""What the subcommands of `aulib` do, a module a group; `aulib.cli` puts them together."""
