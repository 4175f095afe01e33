// One ring, whole
// A ring's members, and which of its users use what. Put the ring's id between the quotes.
WITH 'ring' AS id
MATCH p = (ring:Ring {id: id})<-[:MEMBER_OF]-(member)
OPTIONAL MATCH q = (member)-->()-[:MEMBER_OF]->(ring)
RETURN p, q LIMIT 1000
