"""`livetags explain`: what a replay or a worker says about a customer, gathered and put into words."""
