"""What livetags costs, measured: the whole path beside plain Faust in one run, and the stages of the engine alone."""

from pathlib import Path

from streams.compiled import keep_compiled

keep_compiled(Path(".livetags"))
