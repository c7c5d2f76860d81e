"""The vector index as a follower of the change log: kept up to date, verified, replaced when it fails."""
