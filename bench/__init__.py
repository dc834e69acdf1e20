"""What livetags costs, measured: the whole path beside plain Faust in one run, and the stages of the engine alone."""
