"""Every table and figure of a paper on prepared data of one's own, with a manifest of each cell."""
