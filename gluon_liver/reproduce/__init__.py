"""Papers' rows on a set from its files to the tables: steps that are planned, done once, and gone on with."""
