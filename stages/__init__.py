"""What each step of the pipeline does: reads artifacts, writes one."""
