"""The commands of `livetags`, one file each; `streams.cli` joins them."""
