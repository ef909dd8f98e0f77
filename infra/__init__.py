"""Downloads, starts, stops and kills the embedded services, and runs the system (`make run`)."""
