"""A store as files for `neo4j-admin database import`: the way to load much into an empty Neo4j."""
