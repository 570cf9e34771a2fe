"""Programs that answered a question once; their figures stand in the README and in docs/."""
