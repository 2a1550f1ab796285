"""Questions an investigator asks of a case: attribution, graphs, hunts, the timeline."""
