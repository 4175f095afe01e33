// Money that went through a ring
// Where a ring's users paid, the largest sums first. Put the ring's id between the quotes.
WITH 'ring' AS id
MATCH (ring:Ring {id: id})<-[:MEMBER_OF]-(user:User)-[paid:DINES_AT]->(:Restaurant)
WITH ring, user, paid ORDER BY paid.amount DESC LIMIT 100
MATCH p = (ring)<-[:MEMBER_OF]-(user)
RETURN p, paid, endNode(paid) AS restaurant
