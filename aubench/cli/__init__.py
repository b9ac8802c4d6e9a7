"""What the subcommands of `aulib` do, a module a group; `aubench.cli.main` puts them together."""
