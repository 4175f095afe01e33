"""Neo4j Browser, an investigator's place of work: links into it, and a pack of queries and a style for it."""
